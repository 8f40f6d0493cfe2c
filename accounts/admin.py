from typing import ClassVar

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.forms import ModelForm
from django.http import HttpRequest

from accounts.models import ApiToken, User


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields: ClassVar = ["email"]


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    add_form = NewUserForm
    ordering = ("email",)
    list_display = ("email", "display_name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "display_name")
    readonly_fields = ("date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ["email", "password", "display_name"]}),
        ("Limits", {"fields": ["limit_overrides"]}),
        ("Permissions", {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        ("Dates", {"fields": ["date_joined", "last_login"]}),
    )
    add_fieldsets = ((None, {"classes": ["wide"], "fields": ["email", "usable_password", "password1", "password2"]}),)

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:  # type: ignore[type-arg]
        super().save_model(request, obj, form, change)
        if "email" in form.changed_data:
            obj.keep_one_address(is_confirmed=True)  # staff vouch for what they type


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Tokens are made by their users; staff can see and revoke them."""

    list_display = ("token_key", "name", "user", "created", "expiry")
    list_select_related = ("user",)
    search_fields = ("token_key", "name", "user__email")
    fields = ("token_key", "name", "user", "created", "expiry")
    readonly_fields = ("token_key", "name", "user", "created", "expiry")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
