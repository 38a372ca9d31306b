import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from kubetree.api.certificate_requests import is_signed

SHA1 = """\
-----BEGIN CERTIFICATE REQUEST-----
MIIBSzCBtQIBADAMMQowCAYDVQQDDAF4MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB
iQKBgQDKb6FuIy8Lyj8oh3thD6gQMEMQdyby0mrRlfk6+WpFV49zdFnE2i8qGNfi
I9OVjFqkrNQRWtjN+8CJxRIV/Fq1ivzjEBq7aOW1WOeDE7uzZPLzi8sR2UwT/J0B
I9Cc1zZ8ZCnZbNiLHOP9cWDmBmVMqUvKg646oeLaoKaII3wGdwIDAQABoAAwDQYJ
KoZIhvcNAQEFBQADgYEAxLFA/OeJOhZRD2TTBGg9xXVuuwLXLMm917e3HZJxFFpq
au6FG7wf+pe1sYMOKoNwV8sCOge0xwQgviUFvR2vmGSw42wJUfiC1y9lOqzFAYc/
cZ0rlTidFVUEFRE+esXxHDcrNf1JgHJKL2/ZG00x5/L3i4eSkG1tqk95YLAiJlk=
-----END CERTIFICATE REQUEST-----
"""


def request(key):
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, digest)


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_each_sort_of_key_signs(key):
    assert is_signed(request(key))


def test_a_signature_over_sha1_counts():
    assert is_signed(x509.load_pem_x509_csr(SHA1.encode()))


def test_a_request_that_was_changed_is_not_signed():
    der = bytearray(base64.b64decode("".join(SHA1.splitlines()[1:-1])))
    der[-1] ^= 1
    assert not is_signed(x509.load_der_x509_csr(bytes(der)))
