"""Signing in by the API for a token, giving it back, and who one is."""

from dataclasses import asdict
from typing import cast

from allauth.account import app_settings
from allauth.account.adapter import get_adapter
from allauth.account.utils import has_verified_email
from django.core.exceptions import ValidationError
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from accounts.api.authentication import TokenAuthentication
from accounts.api.errors import RefusalSerializer, Refused
from accounts.api.serializers import AccountSerializer, SignInSerializer, TokenSerializer
from accounts.models import ApiToken, User
from accounts.quotas import limits_of
from accounts.services import TooManyTokens, create_token


class SignInRefused(AuthenticationFailed):
    default_code = "sign_in_refused"


class TokenView(APIView):
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "sign_in"

    def get_authenticators(self) -> list[object]:  # type: ignore[override]
        # Signing in takes a password, giving a token back takes that token; a browser's session is no help in either.
        return [TokenAuthentication()] if self._is_revoking() else []

    def _is_revoking(self) -> bool:
        request = cast(Request | None, self.request)  # none while the schema is drawn
        return request is not None and request.method == "DELETE"

    def get_authenticate_header(self, request: Request) -> str:
        return "Token"

    def get_permissions(self) -> list[object]:  # type: ignore[override]
        return [*super().get_permissions()] if self._is_revoking() else [AllowAny()]

    @extend_schema(
        operation_id="token_create",
        summary="Sign in: an e-mail address and a password for a token",
        request=SignInSerializer,
        responses={
            201: TokenSerializer,
            400: RefusalSerializer,
            401: OpenApiResponse(RefusalSerializer, "Wrong address or password, or the address is not confirmed yet."),
            409: OpenApiResponse(RefusalSerializer, "The account holds as many tokens as it may."),
            429: OpenApiResponse(RefusalSerializer, "Too many attempts."),
        },
        auth=[],
        tags=["account"],
    )
    def post(self, request: Request) -> Response:
        given = SignInSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        fields = given.validated_data
        user = _authenticate(request, fields["email"], fields["password"])
        try:
            row, token = create_token(user, fields["name"], fields["days"])
        except TooManyTokens as refusal:
            raise Refused("", "too_many_tokens", str(refusal), status.HTTP_409_CONFLICT) from refusal
        shown = TokenSerializer({"token": token, "name": row.name, "expires_at": row.expiry})
        return Response(shown.data, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})

    @extend_schema(
        operation_id="token_revoke", summary="Revoke the token of this request", responses={204: None}, tags=["account"]
    )
    def delete(self, request: Request) -> Response:
        cast(ApiToken, request.auth).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class AccountView(APIView):
    @extend_schema(
        operation_id="account_read",
        summary="Who I am and what I may use",
        responses=AccountSerializer,
        tags=["account"],
    )
    def get(self, request: Request) -> Response:
        user = cast(User, request.user)
        facts = {"email": user.email, "display_name": user.display_name, "is_staff": user.is_staff}
        return Response(AccountSerializer(facts | {"limits": asdict(limits_of(user))}).data)


def _authenticate(request: Request, email: str, password: str) -> User:
    """The same check and the same lock after failures as the sign-in page."""
    try:
        user = get_adapter().authenticate(request._request, email=email, password=password)
    except ValidationError as refusal:
        raise Throttled(detail=" ".join(refusal.messages)) from refusal
    if user is None or not user.is_active:
        raise SignInRefused("The e-mail address or the password is wrong.")
    if app_settings.EMAIL_VERIFICATION == app_settings.EmailVerificationMethod.MANDATORY and not has_verified_email(
        user
    ):
        raise SignInRefused("Confirm your e-mail address first: follow the link in the mail you got.")
    return cast(User, user)
