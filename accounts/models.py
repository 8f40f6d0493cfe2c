"""The user, who signs in with an e-mail address, and the user's API tokens."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from knox.models import AbstractAuthToken, AuthTokenManager

from accounts.quotas import find_limit_problem


def check_limit_overrides(overrides: Any) -> None:
    if problem := find_limit_problem(overrides):
        raise ValidationError(problem)


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        user.keep_one_address(is_confirmed=False)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        user = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
        user.keep_one_address(is_confirmed=True)  # whoever makes staff on the console vouches for the address
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractUser):  # type: ignore[django-manager-missing]  # knox names the relation without types
    username = None  # type: ignore[assignment]  # the e-mail address is the name
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True, error_messages={"unique": "This address is taken."})
    display_name = models.CharField(max_length=80, blank=True)
    limit_overrides = models.JSONField(
        default=dict,
        blank=True,
        validators=[check_limit_overrides],
        help_text='Limits that differ from the site\'s, by the names of accounts/quotas.py: {"max_strategies": 500}.',
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    emailaddress_set: Any  # allauth's rows; it carries no types

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(Lower("email"), name="accounts_user_email_unique_ignoring_case")
        ]

    def __str__(self) -> str:
        return self.email

    def keep_one_address(self, *, is_confirmed: bool) -> None:
        """Make `email` the one address that sign-in, confirmation and password mails know for this user."""
        self.emailaddress_set.all().delete()
        self.emailaddress_set.create(email=self.email, primary=True, verified=is_confirmed)

    def get_full_name(self) -> str:
        return self.display_name or self.email

    def get_short_name(self) -> str:
        return self.display_name or self.email.split("@")[0]


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def visible_to(self, user: User) -> "ApiTokenQuerySet":
        return self.filter(user=user)

    def usable(self) -> "ApiTokenQuerySet":
        return self.filter(Q(expiry__isnull=True) | Q(expiry__gt=timezone.now()))


class ApiToken(AbstractAuthToken):  # type: ignore[misc]  # knox carries no types
    """A named token for the API. Only its hash is kept; the token itself is shown once."""

    name = models.CharField(max_length=80)

    objects: ClassVar[Any] = AuthTokenManager.from_queryset(ApiTokenQuerySet)()

    class Meta:
        ordering: ClassVar = ["-created"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.token_key}...)"

    @property
    def is_expired(self) -> bool:
        return self.expiry is not None and self.expiry <= timezone.now()
