"""What is said to a user about an error: one sentence, if the user can do something about it."""

from __future__ import annotations

from splatmem.models.main_memory import free_main_memory, is_out_of_memory, reason


def explained(error: Exception) -> str | None:
    """A sentence about an error; None for one that only a programmer can do something about."""
    if is_out_of_memory(error):
        free = free_main_memory()
        left = "" if free is None else f", {free / 2**30:.1f} GiB are left"
        return f"memory is full ({reason(error)}{left}): end other programs, raise the limit, or give a smaller --size"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "no thread can be started: raise the limit of processes (ulimit -u, a container's pids limit) or of memory"
    if isinstance(error, ModuleNotFoundError) and error.name is not None and not error.name.startswith("splatmem"):
        return f"the package {error.name} is not installed: 'splatmem doctor' says what is missing, and what to do about it"
    if isinstance(error, ValueError | OSError):
        return one_line(error)
    return None


def one_line(error: Exception) -> str:
    text = str(error)
    if isinstance(error, OSError) and error.strerror:  # without the number that Python puts in front
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(text.split()) or type(error).__name__
