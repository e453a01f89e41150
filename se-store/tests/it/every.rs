//! The contracts, for every database there is.

use crate::bench::Bench;

/// Runs each contract on a database file, on one in memory, and on a server.
macro_rules! contracts {
    ($($module:ident: $($name:ident),+;)+) => {
        mod file {$($(
            #[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                let bench = super::Bench::open(&crate::sqlite::url(folder.path())).await;
                crate::$module::$name(&bench).await;
                bench.store.close().await;
            }
        )+)+}
        mod memory {$($(
            #[tokio::test]
            async fn $name() {
                let bench = super::Bench::open("sqlite::memory:").await;
                crate::$module::$name(&bench).await;
            }
        )+)+}
        mod postgres {$($(
            #[tokio::test]
            async fn $name() {
                let database = se_testkit::postgres::Database::create();
                let bench = super::Bench::open(&database.url()).await;
                crate::$module::$name(&bench).await;
                bench.store.close().await;
            }
        )+)+}
    };
}

contracts! {
    contract:
        a_job_is_stored_with_its_first_event_and_secrets,
        a_resumed_job_begins_with_what_is_done,
        the_row_of_a_resumed_job_follows_its_status,
        an_idempotency_key_gets_the_first_job_for_a_day,
        one_of_many_requests_with_one_key_is_stored,
        a_request_that_fails_does_not_hurt_its_group,
        a_log_takes_events_only_at_its_end,
        what_a_log_ends_with_is_not_stored_twice,
        of_two_drivers_one_goes_on,
        what_is_claimed_in_one_go_keeps_to_the_limits,
        a_clock_that_goes_back_loses_nothing,
        deliveries_outlast_a_clock_that_goes_back,
        a_clock_that_leaps_forward_ends_windows_and_nothing_else,
        events_are_paged,
        the_last_event_erases_the_secrets,
        what_is_learned_is_kept_for_session_and_worker,
        jobs_are_listed_newest_first,
        commits_are_told,
        it_answers_until_it_is_closed;
    objects:
        a_large_event_is_kept_outside_its_row,
        large_events_are_paged_by_their_size,
        many_events_are_paged_by_their_size,
        a_large_acceptance_is_kept_outside_too,
        what_is_lost_or_altered_is_told_from_an_event,
        objects_go_with_their_job,
        what_nothing_refers_to_goes_after_a_day;
    pods:
        ports_are_given_once_and_again_to_who_has_them,
        ports_are_given_all_or_none_and_come_back,
        a_port_that_must_be_one_is_nobody_elses,
        no_port_is_given_twice_at_the_same_time,
        ports_of_forgotten_sessions_are_free_again,
        a_console_is_taken_and_left,
        transcripts_are_kept_with_their_job;
    retention:
        what_is_old_can_be_deleted,
        each_status_is_kept_as_long_as_it_says,
        a_position_is_never_given_again,
        a_sweep_goes_in_slices,
        deliveries_go_by_what_became_of_them,
        keys_facts_and_secrets_go_too,
        a_job_is_kept_while_a_request_that_is_repeated_gets_it;
    outbox:
        deliveries_of_a_job_are_due_one_after_the_other,
        a_failed_attempt_is_due_again_later_and_holds_back_the_rest,
        dead_letters_let_the_rest_pass_and_can_be_sent_again,
        only_what_was_given_up_can_be_sent_again,
        a_receiver_that_is_gone_gets_nothing_more_of_the_stream,
        deliveries_are_paged_newest_first;
    definitions:
        a_sync_makes_a_version_ready,
        one_sync_of_a_version_at_a_time,
        a_failed_sync_leaves_what_is_ready_serving,
        new_content_supersedes_its_name_and_pod_type,
        versions_expire,
        an_expired_version_stays_so_unless_its_sync_ends_well,
        a_sync_that_finds_nothing_ready_has_ended_all_the_same,
        a_sync_that_nobody_is_at_any_more_gives_way;
}
