"""What whoever starts Crier can mend themselves."""


class Complaint(Exception):
    """The command ends with this one line, which says what is wrong and what to do; never with a traceback."""
