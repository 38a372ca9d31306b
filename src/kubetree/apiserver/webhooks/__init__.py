"""The one client of everything the API server calls out to: admission, conversion, authentication, authorization, audit, aggregation.

Who is called and why is the caller's business; here is only how: where a Service leads, which authority is believed, how long is
waited, and how a failure is worded.
"""

from kubetree.apiserver.webhooks.client import WebhookClient, retried
from kubetree.apiserver.webhooks.credentials import Credentials, load_credentials, of_kubeconfig
from kubetree.apiserver.webhooks.destinations import Destination, of_client_config
from kubetree.apiserver.webhooks.failures import CallFailed
from kubetree.apiserver.webhooks.resolution import ServiceResolver, service_resolver
from kubetree.apiserver.webhooks.tls import Trust, TrustCache

__all__ = [
    "CallFailed",
    "Credentials",
    "Destination",
    "ServiceResolver",
    "Trust",
    "TrustCache",
    "WebhookClient",
    "load_credentials",
    "of_client_config",
    "of_kubeconfig",
    "retried",
    "service_resolver",
]
