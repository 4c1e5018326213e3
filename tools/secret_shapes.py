"""What secrets look like in logs, configurations, command lines and URLs.

Every pattern begins at a fixed word, and what repeats is bounded or comes last: the work stays linear in the length of
the text. A shape is only looked for where one of its signs is in the text, which is cheap to find out and seldom so.
The shapes of tokens follow detect-secrets 1.5 and the services' own documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MASK = "[redacted]"


@dataclass(frozen=True)
class Shape:
    """`pattern` is replaced where one of `signs` (lower case; none: always) is in the text."""

    signs: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str = MASK


_NAMES = (
    # MariaDB tells of a refused login whether it came `(using password: YES)`; `tokens: 30000` is a count.
    r"passwords?(?!: (?:yes|no)\))|passwd|passphrase|secrets?|"
    r"tokens?(?<!tokens(?=[\"']?[ \t]{0,3}[:=][ \t]{0,3}\d{1,9}(?![\w.])))|"
    r"credentials?|api[_-]?keys?|access[_-]?key|private[_-]?key|auth[_-]?key|account[_-]?key|encryption[_-]?key|"
    r"pre[_-]?shared[_-]?key|sess(?:ion)?[_-]?id|amz-signature|(?<=[_-])auth(?==)|"
    r"(?:(?<=[_-])|(?<![\w-]))pass(?==|[\"']?:[ \t]?[\"'])|"
    # sudo logs the working directory as PWD=/…: no secret, and worth reading.
    r"pwd(?=\\{0,4}[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?[^/\s])"
)
# Settings about secrets are none, nor is the place of a file that holds one.
_ABOUT = (
    r"(?![_-](?:encryption|lifetime|policy|length|history|reuse|timeout|ttl|type|endpoint|url|count|min|max|"
    r"expir(?:ed|y|es|es_in))(?![\w-]))"
    r"(?![_-]?(?:files?|path|dir)[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?[~.]{0,2}/)"
)
# What stands before the name needs no match: `DB_PASSWORD` is found by its end. `secret_key_base` goes on behind it.
_NAME = rf"(?:{_NAMES}){_ABOUT}(?:[_-][\w-]{{0,20}})?"
_NAME_SIGNS = (
    *("passw", "passphrase", "secret", "token", "credential", "key", "sess", "amz-signature", "auth=", "pass", "pwd"),
)
# `\"password\": \"…\"` is JSON within JSON.
_GIVES = rf"{_NAME}\\{{0,4}}[\"']?[ \t]{{0,3}}(?:=>|[:=])[ \t]{{0,3}}"

ASSIGNMENT = Shape(
    _NAME_SIGNS,
    # To the closing quote or the end of the line; without quotes to the end of the word, or to a query's next part.
    re.compile(
        rf"(?i)({_GIVES})(?:(\")(?:[^\"\\\n]|\\.)+|(')(?:[^'\\\n]|\\.)+|(\\{{1,4}}[\"'])[^\"'\\\n]+"
        rf"|(?![\"']?\[redacted\])[^\s&]+)"
    ),
    rf"\1\2\3\4{MASK}",
)

_WORDS = r"(?: [^\s|;&]{1,100}){0,20}?"
_WORD = r"(?:\"[^\"\n]{1,300}\"|'[^'\n]{1,300}'|[^\s\"']\S{0,300})"
_SQL = r"(?:'(?:[^'\n]|''){1,300}'|\"[^\"\n]{1,300}\")"

_HEADERS = (
    # Also in JSON and in a curl command.
    Shape(
        ("authorization",),
        re.compile(r"(?i)(authorization[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?(?:[a-z]{1,12} )?)[^\s\"']+"),
        rf"\1{MASK}",
    ),
    Shape(
        ("bearer ", "basic "),
        re.compile(r"(?i)\b(bearer|basic) (?=[a-z+/_=.~-]{0,200}[0-9])[a-z0-9+/_=.~-]{8,}"),
        rf"\1 {MASK}",
    ),
    Shape(("signature=",), re.compile(r"(?i)(signature=)(?!\[redacted\])[^\s,&\"';]{8,}"), rf"\1{MASK}"),
    Shape(
        ("cookie",),
        re.compile(r"(?i)(cookie2?[\"']?[ \t]{0,3}[:=][ \t]{0,3})(?:(\")[^\"\n]+|(')[^'\n]+|[^\n]+)"),
        rf"\1\2\3{MASK}",
    ),
)

_CONNECTIONS = (
    # `scheme://user:password@host`: to the last @ before the path.
    Shape(("://",), re.compile(r"(://[^\s:/@\"']{0,100}:)[^\s/\"'<>]{1,300}(?=@)"), rf"\1{MASK}"),
    Shape(
        ("jdbc:oracle",), re.compile(r"(?i)(jdbc:oracle:[a-z]{1,10}:[^\s/@]{1,100}/)[^\s@]{1,100}(?=@)"), rf"\1{MASK}"
    ),
    # ADO and ODBC allow blanks within.
    Shape(
        ("password", "pwd"),
        re.compile(r"(?i)(;[ ]?(?:password|pwd)[ ]?=[ ]?)(?![/\s])[^;\"'\n]{1,200}(?=;)"),
        rf"\1{MASK}",
    ),
    Shape(("sig=",), re.compile(r"(?i)(?<![\w-])(sig=)[a-z0-9%+/=_-]{20,}"), rf"\1{MASK}"),
    Shape(("password ",), re.compile(r"(?i)(\blogin \S{1,100} password )\S+"), rf"\1{MASK}"),
    Shape(("requirepass", "masterauth"), re.compile(r"(?i)((?:requirepass|masterauth) )\S+"), rf"\1{MASK}"),
    Shape(_NAME_SIGNS, re.compile(rf"(?i)(<{_NAME}>)[^<\n]+"), rf"\1{MASK}"),
)

_COMMANDS = (
    Shape(_NAME_SIGNS, re.compile(rf"(?i)(?<!\S)(--?[\w-]{{0,40}}?{_NAME} )(?![-\[])\S+"), rf"\1{MASK}"),
    # mysql's `-p` takes its password without a blank; `-p shop` asks for it.
    Shape(
        ("mysql", "maria", "xtrabackup"),
        re.compile(rf"((?:mysql|mariadb|mariabackup|xtrabackup)[\w-]{{0,20}}{_WORDS} -p)(?!\[redacted\]){_WORD}"),
        rf"\1{MASK}",
    ),
    Shape(
        ("mongo", "login"),
        re.compile(rf"((?:mongo\w{{0,10}}|(?:docker|podman|skopeo|helm) (?:registry )?login){_WORDS} -p ){_WORD}"),
        rf"\1{MASK}",
    ),
    Shape(("sshpass",), re.compile(rf"(sshpass -p ?)(?!\[redacted\]){_WORD}"), rf"\1{MASK}"),
    Shape(("redis-cli",), re.compile(rf"(redis-cli{_WORDS} -a )(?!\[redacted\]){_WORD}"), rf"\1{MASK}"),
    Shape(("ldap",), re.compile(rf"(ldap[a-z]{{1,10}}{_WORDS} -w )(?!\[redacted\]){_WORD}"), rf"\1{MASK}"),
    Shape(
        ("curl",),
        re.compile(
            rf"(curl{_WORDS} (?:-[sSkLf]{{0,6}}[uU] ?|--(?:proxy-)?user[ =])[\"']?[^\s:\"']{{1,100}}:)[^\s\"']+"
        ),
        rf"\1{MASK}",
    ),
    Shape(("pass:",), re.compile(r"(-pass(?:in|out)? pass:)\S+"), rf"\1{MASK}"),
    Shape(("htpasswd",), re.compile(r"(htpasswd -\w{0,5}b\w{0,5} \S{1,300} \S{1,100} )\S+"), rf"\1{MASK}"),
    Shape(
        ("chpasswd",), re.compile(r"(\b[\w-]{1,32}:)[^\s|\"']{1,100}(?=[\"']? ?\| ?(?:sudo )?chpasswd)"), rf"\1{MASK}"
    ),
)

_SQL_SHAPES = (
    Shape(
        ("identified",),
        re.compile(rf"(?i)(identified (?:by|with \S{{1,60}} (?:by|as|using))(?: password)? ?\(?){_SQL}"),
        rf"\1'{MASK}'",
    ),
    Shape(("password",), re.compile(r"(?i)(\bpassword ?\(?)'(?:[^'\n]|''){1,300}'"), rf"\1'{MASK}'"),
)

_HASHES = (
    # As in /etc/shadow, htpasswd, LDAP, MySQL, PostgreSQL and Django.
    Shape(
        ("$",),
        re.compile(
            r"\$(?:1|2[abxy]?|5|6|7|y|gy|sha1|md5|apr1|argon2(?:id|i|d)?|scrypt|pbkdf2[\w-]{0,20})\$[./\w$,=+-]{16,}"
        ),
    ),
    Shape(("sha",), re.compile(r"(?i)(\{s?sha(?:256|512)?\})[a-z0-9+/=]{20,}"), rf"\1{MASK}"),
    Shape(("*",), re.compile(r"(?<![\w*])\*[0-9A-F]{40}(?!\w)")),
    Shape(("md5",), re.compile(r"(?<!\w)md5[0-9a-f]{32}(?!\w)")),
    Shape(("scram-sha-",), re.compile(r"(?i)(scram-sha-\d{1,3})\$\d{1,8}:[^\s'\"]{20,}"), rf"\1${MASK}"),
    Shape(("pbkdf2_",), re.compile(r"(pbkdf2_sha\d{1,3})\$\d{1,8}\$[^\s'\"]{20,}"), rf"\1${MASK}"),
)

_PREFIXED = (
    r"(?<![\w-])(?:gh[pousr]_|github_pat_|gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-|GR1348941|"
    r"xox[abeoprs]-|xapp-|sk-|[rs]k_(?:live|test)_|whsec_|gsk_|lsv2_(?:pt|sk)_|AIza|ya29\.|GOCSPX-|hv[sbr]\.|"
    r"npm_|pypi-AgE|sq0(?:csp|atp)-|shp(?:at|ca|pa|ss)_|do[opr]_v1_|dckr_pat_|glsa_|glc_|ATATT3|lin_api_|PMAK-|NRAK-|"
    r"AGE-SECRET-KEY-1)[\w.-]{16,}"
)

_TOKENS = (
    # A secret access key is any 40 characters: only what stands right behind its key's id is told as one.
    Shape(
        ("akia", "asia"),
        re.compile(r"((?:AKIA|ASIA)[A-Z0-9]{16}[\s,;:|\"']{1,20})[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])"),
        rf"\1{MASK}",
    ),
    Shape(
        ("akia", "asia", "agpa", "aida", "aroa", "abia", "acca"),
        re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA|AGPA|AIDA|AROA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])"),
    ),
    Shape(("eyj",), re.compile(r"(?<![\w-])eyJ[\w-]{5,4096}\.[\w-]{5,4096}\.[\w-]*")),
    Shape((), re.compile(_PREFIXED)),
    Shape(("sg.",), re.compile(r"(?<![\w.])SG\.[\w-]{16,32}\.[\w-]{16,64}")),
    # Twilio's key and account; Mailchimp, Mailgun, Databricks, Telegram, Azure, Google's refresh token.
    Shape(("sk", "ac"), re.compile(r"(?<![\w-])(?:SK|AC)[0-9a-f]{32}(?!\w)")),
    Shape(("-us",), re.compile(r"(?<!\w)[0-9a-f]{32}-us\d{1,2}(?!\w)")),
    Shape(("key-", "dapi"), re.compile(r"(?<![\w-])(?:key-|dapi)[0-9a-f]{32}(?!\w)")),
    Shape((":aa",), re.compile(r"(?<!\w)(\d{8,10}:)AA[\w-]{33}(?!\w)"), rf"\1{MASK}"),
    Shape(("q~",), re.compile(r"(?<![\w~.-])[\w~.]{3}\dQ~[\w~.-]{31,34}")),
    Shape(("1//0",), re.compile(r"(?<![\w/])1//0[\w-]{30,}")),
    Shape(
        ("hooks.slack.com", "/api/webhooks/", "webhook.office.com"),
        re.compile(
            r"((?:hooks\.slack\.com/[a-z]{1,20}|/api/webhooks/\d{5,30}|webhook\.office\.com/\w{1,20})/)[^\s\"'<>]+"
        ),
        rf"\1{MASK}",
    ),
)

SHAPES: tuple[Shape, ...] = (*_HEADERS, *_CONNECTIONS, ASSIGNMENT, *_COMMANDS, *_SQL_SHAPES, *_HASHES, *_TOKENS)
"""In this order: what is named goes as a whole before a part of it is taken for something else."""
