"""The director's chair: looking around a scene in the browser, letting it grow, changing it, and filming it."""
