"""stub"""


def random_open_air(*a):
    raise NotImplementedError
