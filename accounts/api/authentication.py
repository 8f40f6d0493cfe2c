"""Who sends a token, and how the schema says so. REST_FRAMEWORK names the class here."""

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox import auth
from rest_framework.exceptions import AuthenticationFailed

from accounts.models import ApiToken, User


class TokenAuthentication(auth.TokenAuthentication):  # type: ignore[misc]
    """Knox's check of a token; bytes that are in no token are refused before it decodes and looks for them."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiToken]:
        if not token.replace(b"_", b"").isalnum():
            raise AuthenticationFailed("Invalid token.")
        found: tuple[User, ApiToken] = super().authenticate_credentials(token)
        return found


class TokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]
    target_class = "accounts.api.authentication.TokenAuthentication"
