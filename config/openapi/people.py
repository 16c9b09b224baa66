"""Owners, members, transfers, tokens, requests, the audit log: their shapes and operations."""

from __future__ import annotations

from config.openapi.terms import (
    COUNT,
    CURSOR,
    OBJECT,
    PAGED,
    TEXT,
    TIME,
    Chapter,
    Schema,
    asked,
    described,
    many,
    maybe,
    more,
    one_of,
    op,
    pages,
    part,
    shape,
)
from registry.api import audit, gates, owners, people, tokens
from registry.choices import (
    AccessState,
    MemberState,
    OwnerKind,
    Role,
    TokenScope,
    TransferState,
)

_TOKEN = shape(
    "A token without its text.",
    id=TEXT,
    prefix=TEXT,
    name=TEXT,
    scope=one_of(TokenScope),
    limits=many(shape("", ("owner", "model"), owner=TEXT, model=TEXT)),
    created_at=TIME,
    expires_at=maybe(TIME),
    last_used_at=maybe(TIME),
)
_NO_MEMBER = "unknown_owner unknown_request"

SHAPES: dict[str, Schema] = {
    "Owner": shape(
        "A person or an organisation; `role` is the caller's there.",
        name=TEXT,
        kind=one_of(OwnerKind),
        title=TEXT,
        created_at=TIME,
        role=maybe(one_of(Role)),
    ),
    "Member": shape(name=TEXT, role=one_of(Role), state=one_of(MemberState), since=TIME),
    "InvitationToMe": shape(owner=TEXT, role=one_of(Role), invited_by=maybe(TEXT), created_at=TIME),
    "Transfer": shape(
        "The offer of a model to another owner; `model` is the name of today.",
        id=COUNT,
        model=TEXT,
        **{"from": TEXT},
        to=TEXT,
        state=one_of(TransferState),
        asked_by=TEXT,
        created_at=TIME,
        decided_at=maybe(TIME),
    ),
    "AccessRequest": shape(
        "A request for the files of a gated model.",
        name=TEXT,
        reason=TEXT,
        state=one_of(AccessState),
        asked_at=TIME,
        decided_at=maybe(TIME),
    ),
    "Token": _TOKEN,
    "NewToken": more(
        _TOKEN, "A new token.", token=described(TEXT, "Its text, in this answer alone.")
    ),
    "Event": shape(
        "A line of the audit log.",
        id=COUNT,
        action=TEXT,
        target=TEXT,
        owner=maybe(TEXT),
        model=maybe(TEXT),
        by=maybe(TEXT),
        token=maybe(TEXT),
        data=OBJECT,
        created_at=TIME,
    ),
}

OWNERS = Chapter(
    name="Owners",
    words="People and organisations, their members, and the audit log.",
    views={
        owners.Organisations: {
            "get": op("listOrganisations", "Your organisations", pages(part("Owner")), asked=PAGED),
            "post": op(
                *("createOrganisation", "Make an organisation", {201: part("Owner")}),
                "name_taken too_large",
                body=people.OrganisationIn,
            ),
        },
        owners.OwnerView: {
            "get": op("getOwner", "One owner", part("Owner")),
            "patch": op("describeOwner", "Change the title", part("Owner"), body=people.OwnerIn),
            "delete": op(
                *("deleteOrganisation", "Delete an organisation", None, "conflict"),
                body=people.ClosingIn,
            ),
        },
        owners.Members: {
            "get": op("listMembers", "Members", pages(part("Member")), asked=PAGED),
            "post": op(
                *("invite", "Invite somebody", {201: part("Member")}),
                "conflict too_large",
                body=people.MemberIn,
            ),
        },
        owners.Member: {
            "patch": op(
                *("setRole", "Change a role", part("Member"), f"last_admin {_NO_MEMBER}"),
                body=people.RoleIn,
            ),
            "delete": op("removeMember", "End a membership", None, f"last_admin {_NO_MEMBER}"),
        },
        owners.Invitation: {
            "post": op("acceptInvitation", "Accept", part("Member"), "unknown_request"),
            "delete": op("declineInvitation", "Decline", None, "unknown_request"),
        },
        owners.Invitations: {
            "get": op(
                *("listInvitations", "What you are invited to"),
                pages(part("InvitationToMe")),
                asked=PAGED,
            ),
        },
        owners.Account: {
            "get": op("getAccount", "Who you are", part("Owner")),
            "delete": op(
                *("closeAccount", "Let your account be closed in a week"),
                {202: shape("", closes_at=TIME, to=maybe(TEXT))},
                "last_admin conflict unknown_owner name_taken too_large too_many suspended",
                body=people.AccountClosingIn,
            ),
        },
        audit.Activity: {
            "get": op(
                *("listActivity", "The audit log", pages(part("Event"))),
                "not_allowed unknown_owner unknown_model",
                asked=(
                    asked("owner", "Of an owner."),
                    asked("model", "Of a model."),
                    asked("action", "Such as `token`, or `token.create`."),
                    asked("by", "Who did it."),
                    asked("since", "From this time on.", TIME),
                    asked("until", "Up to this time.", TIME),
                    CURSOR,
                ),
            ),
        },
    },
)
TRANSFERS = Chapter(
    name="Transfers",
    words="Models that change hands; the old name leads on.",
    views={
        owners.Offers: {
            "get": op(
                *("getOffers", "The offer that waits", pages(part("Transfer")), "not_allowed"),
            ),
            "post": op(
                *("offerModel", "Offer a model", {201: part("Transfer")}),
                "conflict name_taken unknown_owner",
                body=people.TransferIn,
            ),
        },
        owners.Transfers: {
            "get": op("listTransfers", "What you may accept", pages(part("Transfer")), asked=PAGED),
        },
        owners.Accept: {
            "post": op(
                *("acceptTransfer", "Accept", part("Transfer")),
                "conflict name_taken too_large too_many",
            ),
        },
        owners.Decline: {
            "post": op("declineTransfer", "Decline", part("Transfer"), "conflict"),
        },
        owners.Cancel: {
            "post": op("cancelTransfer", "Take back", part("Transfer"), "conflict"),
        },
    },
)
ACCESS = Chapter(
    name="Access",
    words="Requests for the files of gated models.",
    views={
        gates.Requests: {
            "get": op(
                *("listAccessRequests", "Requests", pages(part("AccessRequest")), "not_allowed"),
                asked=(asked("state", "Only those in it.", one_of(AccessState)), CURSOR),
            ),
        },
        gates.Mine: {
            "get": op("getMyRequest", "Your request", part("AccessRequest"), "unknown_request"),
            "put": op(
                *("askForAccess", "Ask", part("AccessRequest")),
                "conflict unknown_request",
                body=people.AccessIn,
            ),
            "delete": op(
                *("withdrawRequest", "Take it back", part("AccessRequest")),
                "conflict unknown_request",
            ),
        },
        gates.Decision: {
            "put": op(
                *("decideRequest", "Approve or decline", part("AccessRequest")),
                "conflict unknown_request",
                body=people.DecisionIn,
            ),
        },
    },
)
TOKENS = Chapter(
    name="Tokens",
    words="API tokens, their scopes and limits.",
    views={
        tokens.Tokens: {
            "get": op("listTokens", "Your tokens", pages(part("Token")), asked=PAGED),
            "post": op(
                *("createToken", "Make a token", {201: part("NewToken")}),
                "too_large unknown_owner unknown_model moved",
                body=people.TokenIn,
            ),
        },
        tokens.Token: {
            "delete": op("deleteToken", "Delete a token", None),
        },
        tokens.Revocation: {
            "post": op("revokeLeakedTokens", "End tokens that leaked", None, body=people.LeakedIn),
        },
    },
)
CHAPTERS = (OWNERS, TRANSFERS, ACCESS, TOKENS)
