"""What a process finds that is itself a pod of the cluster: its token, and who certifies the cluster."""

from __future__ import annotations

import base64
import json
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from _kubernetes.server import Server


def certificates():
    """An authority, and the certificate and key of 127.0.0.1 that it made, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    names = [x509.DNSName("cluster.test"), x509.IPAddress(ip_address("127.0.0.1"))]
    began = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


class Pods:
    """Pods of a cluster whose processes a test starts itself; they reach its API by TLS.

    Args:
        cluster: whose.
        folder: for what is mounted in them.
    """

    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, folder
        folder.mkdir()
        self._authority, key = certificates()
        (folder / "pem").write_bytes(self._authority + key)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "pem")
        self._server = Server(cluster, tls=tls)

    def environment(self, name):
        """Make a pod; the environment of its process."""
        status = {"phase": "Running"}
        made = self.cluster.store.create(
            "pods", "default", {"kind": "Pod", "metadata": {"name": name}, "spec": {}, "status": status}
        )
        pod = {"name": name, "uid": made["metadata"]["uid"]}
        claims = json.dumps({"kubernetes.io": {"namespace": "default", "pod": pod}}).encode()
        token = f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.{name}"
        self.cluster.more_tokens.add(token)
        account = self.folder / name
        account.mkdir()
        (account / "ca.crt").write_bytes(self._authority)
        (account / "token").write_text(token)
        (account / "namespace").write_text("default")
        return {
            "RUNYARD_KUBERNETES_SERVICE_ACCOUNT_FOLDER": str(account),
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self._server.server_address[1]),
        }

    def close(self):
        self._server.close()
