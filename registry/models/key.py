"""Public keys: publishers', executors', auditors', the registry's own."""

from __future__ import annotations

from django.db import models

from registry.choices import KeyRole, KeyState
from registry.models.owner import Owner


class Key(models.Model):
    """A P-256 public key whose `key` statement is in the ledger.

    `previous` is the key that this one took the place of. `supersession`, on that older key, is the
    entry that it signed itself: what it signs from that index on counts for nothing.
    """

    fingerprint = models.CharField(primary_key=True, max_length=64)
    owner = models.ForeignKey(
        Owner, null=True, blank=True, on_delete=models.PROTECT, related_name="keys"
    )
    role = models.CharField(max_length=16, choices=KeyRole)
    state = models.CharField(max_length=16, choices=KeyState, default=KeyState.REGISTERED)
    name = models.CharField(max_length=80, help_text="the device, in the owner's words")
    spki = models.BinaryField()
    entry = models.OneToOneField("ledger.Entry", on_delete=models.PROTECT, related_name="+")
    previous = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="successor"
    )
    supersession = models.OneToOneField(
        "ledger.Entry", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    revocation = models.OneToOneField(
        "ledger.Entry", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    revocation_reason = models.CharField(max_length=300, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=~models.Q(state=KeyState.SUPERSEDED) | ~models.Q(supersession=None),
                name="key_superseded_by_entry",
            ),
        )

    def __str__(self) -> str:
        return self.fingerprint


class KeyBackup(models.Model):
    """A private key wrapped in the owner's browser; without the passphrase it is noise to us.

    `wrapped` is AES-GCM over PKCS#8 with the SPKI as additional data, under a key that PBKDF2 with
    SHA-256 makes of the passphrase, `salt` and `iterations`; `iv` is 12 bytes.
    """

    key = models.OneToOneField(Key, on_delete=models.CASCADE, related_name="backup")
    wrapped = models.BinaryField()
    salt = models.BinaryField()
    iterations = models.IntegerField()
    iv = models.BinaryField()
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.key_id
