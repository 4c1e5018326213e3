"""What a failed call to AWS means: may it work later, and may it have taken effect."""

from __future__ import annotations

from botocore import exceptions
from botocore.parsers import ResponseParserError

from tools.clients.pools import PoolTimeout
from tools.clients.providers.provider import ProviderError, Throttled
from tools.redaction import condense, redact

_LATER = frozenset(
    {
        "ResourceLimitExceeded",
        "Unavailable",
        "ServiceUnavailable",
        "InternalError",
        "InternalFailure",
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "IncorrectInstanceState",
        "RequestTimeout",
    }
)
_THROTTLED = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
    }
)
_AWAY = frozenset({"Unavailable", "ServiceUnavailable", "InternalError", "InternalFailure", "RequestTimeout"})
"""What the service says of itself; the rest of _LATER is of an instance, or of what it has room for."""
_NOT_BEGUN = _THROTTLED | _LATER - {"InternalError", "InternalFailure", "RequestTimeout"}
_NOT_CONNECTED = (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError, exceptions.ProxyConnectionError)
_REMEDIES = {
    "UnauthorizedOperation": "allow this call in the IAM policy of the credentials in use",
    "AuthFailure": "check the AWS credentials this process was given",
    "InvalidClientTokenId": "check the AWS credentials this process was given",
    "ExpiredToken": "renew the AWS credentials this process was given",
    "RequestExpired": "renew the AWS credentials and check this machine's clock",
    "InvalidInstanceID.NotFound": "check instance_id, region and account of this resource",
    "InvalidInstanceID.Malformed": "correct instance_id of this resource",
    "OptInRequired": "enable the region for this account, or correct region of this resource",
}


def translated(asked: str, error: Exception) -> ProviderError:
    """The error in the words of the port. `asked` is the call as rendered."""
    said = condense(redact(str(error) or type(error).__name__), 300)
    if isinstance(error, exceptions.ClientError):
        return _of_answer(asked, error)
    if isinstance(error, PoolTimeout):
        return ProviderError(f"{asked}: {said}", temporary=True, sent=error.started, away=error.started)
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for this process, or give its machine a role"
        return ProviderError(f"{asked}: no AWS credentials ({said}): {remedy}", temporary=False)
    if isinstance(error, exceptions.SSLError):
        return ProviderError(f"{asked}: the endpoint's certificate is not trusted: {said}", temporary=False)
    if isinstance(error, _NOT_CONNECTED):
        return ProviderError(f"{asked}: no connection: {said}", temporary=True, away=True)
    if isinstance(error, exceptions.HTTPClientError):
        return ProviderError(f"{asked}: no answer: {said}", temporary=True, sent=True, away=True)
    if isinstance(error, ResponseParserError):
        return ProviderError(
            f"{asked}: what answered is no endpoint of AWS: {said}: check endpoint_url", temporary=False, sent=True
        )
    return ProviderError(f"{asked}: {said}: check provider of this resource", temporary=False)


def _of_answer(asked: str, error: exceptions.ClientError) -> ProviderError:
    """EC2 answered with an error: nothing was begun, unless it failed within."""
    told = error.response.get("Error", {})
    code, words = str(told.get("Code", "")), condense(redact(str(told.get("Message", ""))), 300)
    if code in _THROTTLED:
        return Throttled(f"{asked}: {_who(asked)} answered {code}: {words}")
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    temporary = code in _LATER or status >= 500
    remedy = f": {_REMEDIES[code]}" if code in _REMEDIES else ""
    sent = status >= 500 and code not in _NOT_BEGUN
    said = f"{asked}: {_who(asked)} answered {code or f'HTTP {status}'}: {words}{remedy}"
    away = code in _AWAY or (status >= 500 and code not in _LATER)
    return ProviderError(said, temporary=temporary, sent=sent, away=away)


def _who(asked: str) -> str:
    """`EC2` of `ec2.RebootInstances(…)`."""
    return asked.partition(".")[0].upper()
