from rest_framework.pagination import LimitOffsetPagination


class BoundedPagination(LimitOffsetPagination):
    """Pages of lists that have no page sizes of their own; no database counts up to any number."""

    default_limit = 50
    max_limit = 500
