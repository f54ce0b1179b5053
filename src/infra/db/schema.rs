//! The tables for diesel. A test compares this file with the migrations.
//!
//! Only the `queries` modules of domains use it. The column types follow `diesel print-schema` with
//! `sqlite_integer_primary_key_is_bigint`.
#![expect(
    missing_docs,
    reason = "generated from the migrations, which document the columns"
)]

diesel::table! {
    alert_channels (id) {
        id -> Text,
        name -> Text,
        target -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    alert_deliveries (id) {
        id -> BigInt,
        channel_id -> Text,
        message_id -> Text,
        at -> BigInt,
        title -> Text,
        text -> Text,
        mood -> Text,
        data -> Text,
        state -> Text,
        tries -> Integer,
        queued_at -> BigInt,
        due_at -> BigInt,
        done_at -> Nullable<BigInt>,
        last_error -> Nullable<Text>,
    }
}

diesel::table! {
    alert_memories (id) {
        id -> BigInt,
        rule_id -> Text,
        instance_id -> Nullable<Text>,
        host -> Nullable<Text>,
        miner -> Text,
        since -> Nullable<BigInt>,
        counts -> Bool,
        gone -> Nullable<BigInt>,
        told -> Nullable<BigInt>,
        told_since -> Nullable<BigInt>,
        ended -> Nullable<BigInt>,
        words -> Text,
        count -> Nullable<Double>,
    }
}

diesel::table! {
    alert_rule_channels (rule_id, channel_id) {
        rule_id -> Text,
        channel_id -> Text,
    }
}

diesel::table! {
    alert_mutes (id) {
        id -> Text,
        instance_id -> Nullable<Text>,
        tag -> Nullable<Text>,
        rule_id -> Nullable<Text>,
        starts_at -> BigInt,
        ends_at -> BigInt,
        comment -> Text,
        author -> Text,
    }
}

diesel::table! {
    alert_rules (id) {
        id -> Text,
        name -> Text,
        condition -> Text,
        instance_id -> Nullable<Text>,
        for_s -> Integer,
        clear_s -> Integer,
        repeat_s -> Nullable<Integer>,
        tell_cleared -> Bool,
        quiet_from -> Nullable<Integer>,
        quiet_to -> Nullable<Integer>,
        enabled -> Bool,
        created_at -> BigInt,
    }
}

diesel::table! {
    backup_state (id) {
        id -> BigInt,
        settings -> Text,
        ended -> Text,
    }
}

diesel::table! {
    bulk_jobs (id) {
        id -> Text,
        action -> Text,
        title -> Text,
        stage -> Text,
        message -> Text,
        actor -> Text,
        created_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    bulk_steps (job_id, position) {
        job_id -> Text,
        position -> Integer,
        instance_id -> Text,
        name -> Nullable<Text>,
        state -> Text,
        status -> Nullable<Text>,
        message -> Text,
    }
}

diesel::table! {
    configuration_files (configuration_id) {
        configuration_id -> Text,
        text -> Text,
    }
}

diesel::table! {
    audit (id) {
        id -> BigInt,
        at -> BigInt,
        actor -> Text,
        role -> Text,
        address -> Text,
        #[sql_name = "deed"]
        action -> Text,
        path -> Text,
        status -> Integer,
        times -> Integer,
        first_at -> BigInt,
    }
}

diesel::table! {
    configuration_revisions (configuration_id, revision) {
        configuration_id -> Text,
        revision -> Integer,
        name -> Text,
        description -> Text,
        config_json -> Text,
        created_at -> BigInt,
        author -> Text,
    }
}

diesel::table! {
    configurations (id) {
        id -> Text,
        name -> Text,
        description -> Text,
        config_json -> Text,
        is_active -> Bool,
        revision -> Integer,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    events (id) {
        id -> BigInt,
        instance_id -> Text,
        at -> BigInt,
        from_state -> Text,
        to_state -> Text,
        reason -> Text,
        actor -> Nullable<Text>,
        pid -> Nullable<Integer>,
        exit_code -> Nullable<Integer>,
        exit_signal -> Nullable<Integer>,
        last_error -> Nullable<Text>,
        failures -> Integer,
        retry_at -> Nullable<BigInt>,
        cause -> Nullable<Text>,
        program -> Text,
    }
}

diesel::table! {
    health_checks (id) {
        id -> BigInt,
        instance_id -> Text,
        check_type -> Text,
        status -> Text,
        message -> Text,
        timestamp -> BigInt,
    }
}

diesel::table! {
    health_states (instance_id) {
        instance_id -> Text,
        log_offset -> BigInt,
        standing -> Text,
        results -> Text,
        cures_off -> Text,
        cures -> Text,
    }
}

diesel::table! {
    hosts (name) {
        name -> Text,
        address -> Text,
        created_at -> BigInt,
        status -> Text,
        since -> BigInt,
        version -> Nullable<Text>,
        instances -> Nullable<BigInt>,
        running -> Nullable<BigInt>,
        last_answer_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    instances (id) {
        id -> Text,
        name -> Text,
        config_id -> Text,
        desired -> Text,
        autostart -> Bool,
        restart_policy -> Text,
        restart_limit_failures -> Nullable<Integer>,
        restart_limit_within_s -> Nullable<Integer>,
        memory_limit_mib -> Nullable<Integer>,
        open_files_limit -> Nullable<Integer>,
        nice -> Integer,
        client_version -> Nullable<Text>,
        status -> Text,
        pid -> Nullable<Integer>,
        port -> Nullable<Integer>,
        restarts -> Integer,
        exit_code -> Nullable<Integer>,
        exit_signal -> Nullable<Integer>,
        last_error -> Nullable<Text>,
        started_at -> Nullable<BigInt>,
        stopped_at -> Nullable<BigInt>,
        running_revision -> Nullable<Integer>,
        journal_offset -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        cause -> Nullable<Text>,
        trial_version -> Nullable<Text>,
        prepared_version -> Nullable<Text>,
        running_version -> Nullable<Text>,
        tags -> Text,
    }
}

diesel::table! {
    metric_baselines (instance_id) {
        instance_id -> Text,
        state -> Text,
    }
}

diesel::table! {
    metric_days (series_id, at) {
        series_id -> BigInt,
        at -> BigInt,
        count -> BigInt,
        sum -> Double,
        min -> Double,
        max -> Double,
    }
}

diesel::table! {
    metric_fresh (at, series_id) {
        at -> BigInt,
        series_id -> BigInt,
        value -> Double,
    }
}

diesel::table! {
    metric_hours (series_id, at) {
        series_id -> BigInt,
        at -> BigInt,
        count -> BigInt,
        sum -> Double,
        min -> Double,
        max -> Double,
    }
}

diesel::table! {
    metric_marks (level) {
        level -> Text,
        until -> BigInt,
    }
}

diesel::table! {
    metric_minutes (series_id, at) {
        series_id -> BigInt,
        at -> BigInt,
        count -> BigInt,
        sum -> Double,
        min -> Double,
        max -> Double,
    }
}

diesel::table! {
    metric_samples (series_id, at) {
        series_id -> BigInt,
        at -> BigInt,
        value -> Double,
    }
}

diesel::table! {
    metric_series (id) {
        id -> BigInt,
        instance_id -> Nullable<Text>,
        metric_type -> Text,
        is_counter -> Bool,
    }
}

diesel::table! {
    miners (instance_id, protocol, address, name) {
        instance_id -> Text,
        protocol -> Text,
        address -> Text,
        name -> Text,
        state -> Text,
        hashrate -> Double,
        settled -> Bool,
        day -> BigInt,
        accepted_today -> BigInt,
        rejected_today -> BigInt,
        accepted_total -> BigInt,
        rejected_total -> BigInt,
        last_share_at -> Nullable<BigInt>,
        connected_since -> Nullable<BigInt>,
        offline_since -> Nullable<BigInt>,
        seen_at -> BigInt,
        baseline -> Text,
        reasons -> Text,
    }
}

diesel::table! {
    miner_logs (instance_id) {
        instance_id -> Text,
        state -> Text,
    }
}

diesel::table! {
    rollouts (id) {
        id -> Text,
        created_at -> BigInt,
        state -> Text,
    }
}

diesel::table! {
    sessions (id) {
        id -> Text,
        hash -> Text,
        user_id -> Text,
        address -> Text,
        program -> Text,
        created_at -> BigInt,
        used_at -> BigInt,
    }
}

diesel::table! {
    setups (id) {
        id -> Text,
        answers -> Text,
        instance_id -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    skipped_releases (tag) {
        tag -> Text,
        skipped_at -> BigInt,
        skipped_by -> Text,
    }
}

diesel::table! {
    tokens (id) {
        id -> Text,
        hash -> Text,
        name -> Text,
        user_id -> Nullable<Text>,
        role -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    update_jobs (id) {
        id -> Text,
        kind -> Text,
        version -> Text,
        stage -> Text,
        created_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        state -> Text,
    }
}

diesel::table! {
    update_state (id) {
        id -> BigInt,
        checked -> Text,
        settings -> Text,
    }
}

diesel::table! {
    updates (id) {
        id -> BigInt,
        version -> Text,
        download_url -> Text,
        changelog -> Text,
        installed -> Bool,
        installed_at -> Nullable<BigInt>,
        created_at -> BigInt,
        release -> Text,
    }
}

diesel::table! {
    users (id) {
        id -> Text,
        name -> Text,
        role -> Text,
        password -> Text,
        second_factor -> Nullable<Text>,
        second_factor_step -> BigInt,
        created_at -> BigInt,
        password_at -> BigInt,
    }
}

diesel::table! {
    vault (id) {
        id -> BigInt,
        proof -> Text,
        swept_at -> Nullable<BigInt>,
    }
}

diesel::joinable!(alert_deliveries -> alert_channels (channel_id));
diesel::joinable!(alert_memories -> alert_rules (rule_id));
diesel::joinable!(alert_memories -> instances (instance_id));
diesel::joinable!(configuration_revisions -> configurations (configuration_id));
diesel::joinable!(events -> instances (instance_id));
diesel::joinable!(instances -> configurations (config_id));
diesel::joinable!(miners -> instances (instance_id));
diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(setups -> instances (instance_id));
diesel::joinable!(tokens -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(sessions, tokens, users);
diesel::allow_tables_to_appear_in_same_query!(
    configurations,
    configuration_revisions,
    events,
    instances
);
diesel::allow_tables_to_appear_in_same_query!(
    alert_channels,
    alert_deliveries,
    alert_memories,
    alert_mutes,
    alert_rule_channels,
    alert_rules,
    instances
);
diesel::allow_tables_to_appear_in_same_query!(instances, miner_logs, miners);
