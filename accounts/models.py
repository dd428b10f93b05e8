"""Users, organizations, memberships, environments, API keys and recorded API requests."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from accounts.choices import Role
from maestro.core.ids import new_id

# How long history may be kept if it is not kept for ever: a hundred years, which every date survives.
MOST_RETENTION_DAYS = 36_500
_RETENTION = (MinValueValidator(1), MaxValueValidator(MOST_RETENTION_DAYS))


class UserManager(BaseUserManager["User"]):
    """Makes users; the e-mail address is the login."""

    def create_user(
        self, email: str, password: str | None = None, *, is_staff: bool = False, is_superuser: bool = False
    ) -> User:
        """Create a user; without a password the user cannot sign in by password."""
        user = self.model(email=self.normalize_email(email).lower(), is_staff=is_staff, is_superuser=is_superuser)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None) -> User:
        """Create a user who may do everything in the admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True)

    def get_by_natural_key(self, username: str | None) -> User:
        """Return the user with this e-mail address, however it is capitalised."""
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person or a service account."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(unique=True, help_text="Login name, stored in lower case.")
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May open the admin.")
    is_service_account = models.BooleanField(default=False, help_text="Acts through API keys only.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "users"

    def __str__(self) -> str:
        return self.email


class Organization(models.Model):
    """The tenant: every row of work belongs to one."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=63, unique=True)
    run_retention_days = models.IntegerField(
        "keep runs for (days)",
        null=True,
        blank=True,
        default=90,
        db_default=90,
        validators=_RETENTION,
        help_text="Days after its end that a run is kept, with its tasks, attempts and log lines. Empty: for ever.",
    )
    attempt_retention_days = models.IntegerField(
        "keep attempts for (days)",
        null=True,
        blank=True,
        default=30,
        db_default=30,
        validators=_RETENTION,
        help_text="Days after the end of their run that attempts which did not end their task are kept, at most as "
        "long as the run. Empty: as long as the run.",
    )
    log_retention_days = models.IntegerField(
        "keep log lines for (days)",
        null=True,
        blank=True,
        default=30,
        db_default=30,
        validators=_RETENTION,
        help_text="Days after the end of their run that log lines are kept, at most as long as the run. Empty: as "
        "long as the run.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "organizations"
        constraints = [
            models.CheckConstraint(
                condition=models.Q((f"{column}__range", (1, MOST_RETENTION_DAYS))),
                name=f"organization_{column}_is_a_time",
            )
            for column in ("run_retention_days", "attempt_retention_days", "log_retention_days")
        ]

    def __str__(self) -> str:
        return self.slug


class Environment(models.Model):
    """A stage of an organization, such as `production`; runs, secrets and variables belong to one."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="environments")
    name = models.SlugField(max_length=63, default="production")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "environments"
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="environment_name_is_unique")]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A user's role in an organization."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "memberships"
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="membership_is_unique"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role}"


class ApiKey(models.Model):
    """A credential of a user within one organization; only its hash is stored."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="api_keys")
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="api_keys")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(
        max_length=16, unique=True, help_text="First characters of the key: finds it and shows it."
    )
    hashed_secret = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the whole key, hexadecimal.")
    scopes = ArrayField(
        models.CharField(max_length=50),
        default=list,
        blank=True,
        help_text="Permissions; none given: all of the user's role.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "api_keys"
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class ApiRequest(models.Model):
    """One recorded API call, for operators who look for unusual use. Written in batches; no foreign keys on purpose."""

    id = models.BigAutoField(primary_key=True)
    organization_id = models.UUIDField(null=True)
    user_id = models.UUIDField(null=True, help_text="Empty for a call nobody signed.")
    api_key_id = models.UUIDField(null=True)
    method = models.CharField(max_length=10)
    endpoint = models.CharField(max_length=200, help_text="Route template, never the raw path.")
    status_code = models.SmallIntegerField()
    duration_seconds = models.FloatField()
    client_address = models.GenericIPAddressField(null=True)
    request_id = models.UUIDField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "api_requests"
        indexes = [models.Index(fields=["created_at"], name="idx_api_requests_created")]

    def __str__(self) -> str:
        return f"{self.method} {self.endpoint}"


class IdempotencyKey(models.Model):
    """A key that a client gave a call, so that the call is done once however often it is sent. Changed only by the SQL
    of `accounts.idempotency`.
    """

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.TextField()
    fingerprint = models.TextField(help_text="Keyed hash of method, address and body: the same call has the same.")
    token = models.UUIDField(help_text="Random; the fence of every write of the request that has the key.")
    made_id = models.UUIDField(null=True, help_text="What the call made, written in the transaction that made it.")
    status_code = models.SmallIntegerField(null=True, help_text="HTTP status of the answer; empty until there is one.")
    answer = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "idempotency_keys"
        constraints = [
            models.UniqueConstraint(fields=["organization", "user", "key"], name="idempotency_key_is_unique")
        ]
        indexes = [models.Index(fields=["created_at"], name="idx_idempotency_keys_created")]

    def __str__(self) -> str:
        return self.key
