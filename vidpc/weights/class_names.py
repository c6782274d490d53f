"""The classes of published video networks, in the order of their numbers: one name a line in ``labels/``."""

from importlib import resources

# Kinetics numbers its classes by name; Something-Something has a list of its own, which is in the order of names, too.
_LISTS = {400: "kinetics400", 600: "kinetics600", 174: "something-something-v2"}


def class_names(classes: int) -> list[str]:
    """The names of the data set that has so many classes; where none is known, ``class_0`` and so on."""
    return named_list(_LISTS[classes]) if classes in _LISTS else [f"class_{i}" for i in range(classes)]


def named_list(name: str) -> list[str]:
    """The names in the list ``name``."""
    return resources.files(__package__).joinpath("labels", f"{name}.txt").read_text(encoding="utf-8").splitlines()
