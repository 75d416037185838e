"""What workers said when something went wrong."""


def in_a_line(error: BaseException) -> str:
    """What went wrong in a worker, without its traceback."""
    cause = original(error)
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    said = lines[0] if lines else ""
    return f"{type(cause).__name__}: {said}"[:300] if said else type(cause).__name__


def original(error: BaseException) -> BaseException:
    """What a worker raised: Ray wraps it into an error whose message is a traceback."""
    return getattr(error, "cause", None) or error
