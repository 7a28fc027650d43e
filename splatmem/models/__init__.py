"""Big models in general: where they lie, whether they are whole, how they are placed on the hardware."""
