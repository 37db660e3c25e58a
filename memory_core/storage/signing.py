"""Who made an archive: an Ed25519 signature (RFC 8032) over the manifest, which names the hash of every file.

A key is named by its public half, 64 hexadecimal digits. The private half is a PEM file of its owner (PKCS#8).
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from memory_core.errors import InvalidInput

# What is signed begins with its purpose, so that a signature means nothing elsewhere.
_PURPOSE: Final = b"neural-memory archive manifest\n"
_PUBLIC: Final = re.compile(r"[0-9a-f]{64}")
_VALUE: Final = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Signature:
    """key: the public key, 64 hexadecimal digits; value: the signature, 128 of them."""

    key: str
    value: str

    def covers(self, message: bytes) -> bool:
        """True when the owner of the key signed exactly these bytes."""
        if _PUBLIC.fullmatch(self.key) is None or _VALUE.fullmatch(self.value) is None:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key)).verify(
                bytes.fromhex(self.value), _PURPOSE + message
            )
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. Its text never appears in ``repr`` or in an error."""

    _private: Ed25519PrivateKey

    @classmethod
    def create(cls) -> SigningKey:
        """A new random key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """Inverse of ``pem``; InvalidInput for anything else."""
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise InvalidInput(
                "The signing key is not an Ed25519 private key in PEM without a password.",
                code="SIGNING_KEY_INVALID",
                hint="Make one with: neural-memory keys signing FILE",
            )
        return cls(private)

    def pem(self) -> bytes:
        """The private key as a file; whoever reads it can sign."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> str:
        """The public key, 64 hexadecimal digits."""
        return self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, message: bytes) -> Signature:
        """The signature of these bytes."""
        return Signature(self.public, self._private.sign(_PURPOSE + message).hex())


def parse_signer(raw: str) -> str:
    """A public key as it is written; InvalidInput when it is none."""
    key = raw.strip().lower()
    if _PUBLIC.fullmatch(key) is None:
        raise InvalidInput(
            "A public signing key has 64 hexadecimal digits.", hint="Take what `neural-memory keys signing` printed."
        )
    return key


def require_signer(signer: str | None, trusted: AbstractSet[str]) -> None:
    """InvalidInput (ARCHIVE_NOT_TRUSTED) when only some signers are trusted and this is none of them."""
    if trusted and signer not in trusted:
        raise InvalidInput(
            f"The archive is signed by {signer}." if signer else "The archive is not signed.",
            code="ARCHIVE_NOT_TRUSTED",
            hint="Ask for one signed by a trusted key, or add its key to TRUSTED_SIGNERS.",
        )
