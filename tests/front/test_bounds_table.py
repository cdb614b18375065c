"""The table "What is bounded" of docs/security.md: no row and no figure without a test, and no test without a row."""

from __future__ import annotations

import pytest

from gapless.api import unread
from gapless.api.dependencies import LARGE
from gapless.api.fairness import ALONE, AT_ONCE
from gapless.api.spelling import MOST_MEMBERS
from gapless.auth import verifier
from gapless.auth.key_set import MOST_KEYS, MOST_OF_ONE_ID
from gapless.auth.rates import NETWORK_TIMES, TRAFFIC_UNIT
from gapless.channels import claims, tail, turns
from gapless.channels.presence import Intervals
from gapless.cli import address, protocol
from gapless.config.settings import Settings
from gapless.delivery import streaming
from gapless.delivery.buffered import MOST_ASIDE
from gapless.log.entries import ENVELOPE
from gapless.log.presence import MOST_BYTES as MOST_NAMES
from gapless.log.presence import MOST_USERS as MOST_PRESENT
from gapless.log.receipts import MOST_BYTES as MOST_MARKS
from gapless.log.receipts import MOST_USERS
from gapless.log.signals import MOST_BYTES
from gapless.services import typewriter
from gapless.services.presence import PER_MINUTE
from gapless.services.receipts import PER_SECOND
from gapless.stores.redis import lines as redis_lines
from gapless.stores.redis import pool as redis_pool
from gapless.stores.upstash import rest as upstash_rest
from tests.api import test_authentication, test_fairness, test_schemas, test_unread
from tests.api.routes import test_health, test_posts_in_vain, test_presence, test_receipts, test_signals
from tests.auth import test_key_set, test_verifier
from tests.channels import test_feed, test_tail_changes, test_turns
from tests.channels import test_presence as test_board
from tests.channels import test_presence_faults as test_board_faults
from tests.cli import test_address, test_head, test_protocol
from tests.delivery import test_asides, test_streaming
from tests.front import test_bounds_messages, test_bounds_readers, test_bounds_requests, test_stream_limits
from tests.real import test_bytes, test_made_up
from tests.scale import test_mute
from tests.services import test_typewriter
from tests.stores.contract import test_budget, test_trouble
from tests.stores.contract import test_presence as test_contract_presence
from tests.stores.contract import test_receipts as test_contract_receipts
from tests.stores.redis import test_pool as test_redis_pool
from tests.testkit import bounds
from tests.testkit.bounds import BOUNDS, ELSEWHERE, TRIED, tried_elsewhere, worth

TRYING = (test_bounds_requests, test_bounds_messages, test_bounds_readers)

tried_elsewhere(
    "runs of the demo under way in a process; how long each",
    {"8": typewriter.MOST, "60 s": typewriter.SECONDS},
    test_typewriter.test_only_so_many_run_at_once_and_none_for_ever,
)
tried_elsewhere("what a head names", {}, test_head.test_what_a_proxy_may_read_otherwise)
tried_elsewhere(
    "Redis commands of posts that write nothing (over the rate, repeated, 409), per second and subject",
    {"GAPLESS_READ_RATE": Settings().read_rate, "four": NETWORK_TIMES, "64 KiB": TRAFFIC_UNIT},
    test_posts_in_vain.test_they_cost_what_reading_may,
    test_posts_in_vain.test_bytes_count_too,
)
tried_elsewhere(
    "signals per second and at once, per channel and subject",
    {},
    test_signals.test_it_has_the_rate_of_its_namespace,
)
tried_elsewhere(
    "a signal, as sent; signals of a turn",
    {"8 KiB": MOST_BYTES, "32 KiB": MOST_ASIDE},
    test_signals.test_what_is_refused,
    test_asides.test_many_signals_do_not_swell_a_turn,
)
tried_elsewhere(
    "receipts of a channel",
    {"1,000": MOST_USERS, "32 KiB": MOST_MARKS},
    test_contract_receipts.test_beyond_the_bound_the_oldest_give_way,
    test_contract_receipts.test_they_expire_with_the_retention,
)
tried_elsewhere(
    "receipts of a turn",
    {"32 KiB": MOST_ASIDE},
    test_asides.test_the_receipts_of_many_channels_do_not_swell_a_turn,
)
tried_elsewhere(
    "updates of receipts, per channel and user",
    {"5": PER_SECOND, "four": NETWORK_TIMES},
    test_receipts.test_a_user_says_so_five_times_a_second_at_most,
    test_receipts.test_other_names_do_not_help_an_address_that_has_no_token,
)
tried_elsewhere(
    "who is told by name to be on a channel",
    {"1,000": MOST_PRESENT, "32 KiB": MOST_NAMES},
    test_contract_presence.test_beyond_a_thousand_only_their_number_is_told,
    test_board_faults.test_a_thousand_and_one_and_back,
)
tried_elsewhere(
    "scripts of presence, per process and channel",
    {"60 s": Intervals().renew},
    test_board.test_joins_come_in_batches_of_one_a_second,
    test_board.test_five_hundred_cost_one_script_a_minute,
)
tried_elsewhere(
    "leaves by request, per channel and user",
    {"60": PER_MINUTE},
    test_presence.test_a_user_leaves_so_often_a_minute_at_most,
)
tried_elsewhere(
    "requests of a connection that are not answered",
    {"4": protocol.MOST_IN_FLIGHT},
    test_protocol.test_a_few_requests_are_in_flight_and_the_rest_waits,
)
tried_elsewhere(
    "the rest of a body that nobody reads",
    {"1 s": unread.REST_SECONDS, "1 MiB": unread.REST_BYTES},
    test_unread.test_a_rest_is_waited_for_a_moment,
    test_unread.test_a_long_rest_is_not_read,
)
tried_elsewhere(
    "what begins in one turn of the event loop",
    {"four": AT_ONCE, "16": ALONE, "4 KiB": LARGE},
    test_fairness.test_where_nobody_else_has_asked_more_of_an_address_begin_in_a_turn,
    test_fairness.test_one_address_with_many_connections_delays_another_by_a_few_requests,
    test_fairness.test_a_large_body_waits_for_another_turn,
    test_fairness.test_of_large_bodies_one_is_read_in_a_turn,
)
tried_elsewhere("a body", {"16": MOST_MEMBERS}, test_schemas.test_many_members_are_refused_at_once)
tried_elsewhere(
    "a message, as stored",
    {"512": test_schemas.LONGEST - ENVELOPE},
    test_schemas.test_the_longest_line_of_a_stream,
)
tried_elsewhere(
    test_bounds_readers.SHARES,
    {"GAPLESS_PROXIES": Settings().proxies},
    test_authentication.test_proxies_of_ones_own_tell_their_clients_apart,
    test_stream_limits.test_one_subject_has_a_share_and_others_the_rest,
)
tried_elsewhere(
    "channels that begin to be read for one subject (without a token: address) at the same time",
    {"8": turns.AT_ONCE, "1 s": turns.PATIENCE},
    test_turns.test_sixty_four_new_channels_are_begun_a_few_at_a_time,
    test_turns.test_where_the_store_is_silent_nobody_waits_for_others_to_find_out,
)
tried_elsewhere(
    "a feed's memory",
    {"512": tail.MOST_FRAMES, "256 KiB": tail.MOST_BYTES},
    test_tail_changes.test_a_tail_stays_small_keeps_its_newest_and_its_chain,
)
tried_elsewhere(
    "a reader's memory",
    {"64 KiB": streaming.CHUNK, "256 KiB": test_mute.A_READER * 1024, "20 s": streaming.PATIENCE},
    test_streaming.test_a_reader_that_takes_nothing_ends_as_slow,
    test_mute.test_wherever_they_stand_in_a_backlog,
    test_mute.test_on_many_channels_at_once,
)
tried_elsewhere(
    "what a peer may leave unread",
    {"30 s": address.UNREAD_MS / 1000},
    test_address.test_readers_that_never_read_are_cut_off_by_the_kernel,
)
tried_elsewhere(
    "what Redis sends for a reader",
    {"1.3": test_bytes.TIMES, "256 KiB": test_bytes.SLACK},
    test_bytes.test_a_backlog,
    test_bytes.test_pages,
)
tried_elsewhere(
    "a request that is refused: no token, no right, malformed, another `Host`",
    {},
    test_made_up.test_who_is_refused_costs_nothing,
    test_made_up.test_what_is_malformed_costs_nothing,
)
tried_elsewhere(
    "a position in a request",
    {"3 s": claims.CONFIRM},
    test_made_up.test_positions_that_somebody_made_up,
    test_feed.test_positions_that_somebody_made_up_bring_nothing_and_share_their_reads,
)
tried_elsewhere("a cursor that says nothing", {}, test_feed.test_cursors_that_say_nothing_share_a_read_a_second)
tried_elsewhere(
    "a call to Redis",
    {"3 s": redis_lines.REPLY_TIMEOUT, "4 s": upstash_rest.REPLY_TIMEOUT},
    test_trouble.test_a_silent_server_is_given_up_in_time,
)
tried_elsewhere("what `GET /readyz` asks of Redis", {}, test_health.test_a_hundred_who_ask_cost_what_one_does)
tried_elsewhere(
    "what `DELETE /channels/{channel}` asks of Redis",
    {"two": 2},
    test_budget.test_forgetting_a_channel_costs_two_whatever_else_there_is,
)
tried_elsewhere(
    "connections to Redis",
    {"32": redis_lines.POOL, "20 s": redis_pool.KEPT},
    test_redis_pool.test_no_more_than_so_many_at_once,
    test_redis_pool.test_what_rests_is_given_back,
)
tried_elsewhere(
    "a key set",
    {"1 MiB": verifier.MOST_BYTES, "3 s": verifier.TIMEOUT, "100": MOST_KEYS, "4": MOST_OF_ONE_ID},
    test_key_set.test_there_is_a_bound_to_keys_and_to_those_of_one_id,
    test_verifier.test_without_keys_nobody_can_be_told_apart,
    test_verifier.test_silence_is_a_failure_and_is_waited_for_once,
)


def test_each_row_is_tried_and_each_test_has_its_row() -> None:
    assert BOUNDS, "the section or its table is gone"
    assert set(TRIED) == set(BOUNDS)


@pytest.mark.parametrize("row", BOUNDS)
def test_each_figure_of_a_row_is_tried(row: str) -> None:
    assert set(TRIED.get(row, {})) - {""} == BOUNDS[row]


@pytest.mark.parametrize(("row", "figures"), ELSEWHERE, ids=[row for row, _ in ELSEWHERE])
def test_what_is_tried_elsewhere_is_what_the_page_says(row: str, figures: dict[str, float]) -> None:
    assert {figure: worth(figure) for figure in figures} == figures


def test_a_figure_is_read_with_its_unit() -> None:
    found = bounds._FIGURE.findall(
        "64 KiB, 256 headers, 10,000 in 1.3 s or 30 sentences; an address four times GAPLESS_CAP"
    )
    assert found == ["64 KiB", "256", "10,000", "1.3 s", "30", "four", "GAPLESS_CAP"]
    assert [worth(figure) for figure in found] == [65_536, 256, 10_000, 1.3, 30, 4, 1000]
