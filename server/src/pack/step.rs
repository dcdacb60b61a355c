//! One step: some changes of the log, the bars around them, what is found there.

use super::{Watcher, is_due};
use crate::store::{FoundAt, Judged, LoggedChange, PackStep, ReadError, Window};
use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use market::{Symbol, wire::SourceMode};
use quality::pack::{Found, Pack, PackRow, PackRule, judge, judge_freshness, judge_silence};
use std::collections::HashMap;

/// Changes that one step judges.
const CHANGES: i64 = 4_000;
/// Windows whose rows are in memory at once.
const WINDOWS: usize = 32;
/// Touched minutes of a symbol that lie closer together are one window.
const NEAR: TimeDelta = TimeDelta::minutes(60);
/// Bars of each symbol that are judged when the log does not say what was touched: a session.
const BEGIN_WITH: i64 = 390;
/// How often the rules of the clock are asked.
const CLOCK_EVERY: TimeDelta = TimeDelta::seconds(15);
/// Symbols without a bar for so long are not asked about.
const TRADED_WITHIN: TimeDelta = TimeDelta::days(7);
/// The rules of the clock.
const OF_CLOCK: [PackRule; 2] = [PackRule::Silence, PackRule::Freshness];
/// The place of what is no symbol's.
const NO_SYMBOL: i32 = 0;

/// What a step did.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    pub number: i64,
    pub changes: u64,
    /// Changes after those.
    pub waiting: i64,
    /// There may be findings that changed.
    pub has_news: bool,
    pub counted_at: Option<DateTime<Utc>>,
}

/// Why a step did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the rules broke down: {0}")]
    Rules(#[from] tokio::task::JoinError),
}

impl Watcher {
    /// Judges the next changes, and asks the clock's rules when it is their time; `None` when another instance does.
    ///
    /// # Errors
    /// Postgres does not answer: nothing of the step has happened.
    pub async fn step(&self, now: DateTime<Utc>) -> Result<Option<Done>, StepError> {
        let Some(mut step) = self.store.begin_pack_step(self.instance).await? else { return Ok(None) };
        let mut done =
            Done { number: step.number, changes: 0, waiting: 0, has_news: false, counted_at: step.counted_at };
        let mut seq = step.seq;
        let mut found = FoundAt::new();
        let windows = match step.changes(CHANGES).await? {
            Some(changes) => {
                seq = changes.last().map_or(seq, |last| last.seq);
                done.changes = changes.len() as u64;
                self.judge_order(&mut step, &changes, &mut found).await?;
                windows_of(&changes)
            }
            None => {
                tracing::warn!(
                    from = step.seq,
                    to = step.head,
                    "the change log was pruned before the rules over several bars saw it: only the newest bars of each \
                     symbol are judged"
                );
                seq = step.head;
                let windows = step.newest_windows(BEGIN_WITH).await?;
                step.remember_newest(&windows.iter().map(|window| (window.symbol_id, window.to)).collect()).await?;
                windows
            }
        };
        let judged = self.judge_windows(&mut step, &windows, &mut found).await?;
        step.find(&found, now).await?;
        step.resolve_judged(&judged, now).await?;
        let asks_clock = is_due(step.clock_at, CLOCK_EVERY, now);
        if asks_clock {
            self.ask_clock(&mut step, now).await?;
        }
        done.has_news = !found.is_empty() || !judged.is_empty() || asks_clock;
        done.waiting = step.head - seq;
        if done.has_news || seq != step.seq {
            step.finish(seq).await?;
        } else {
            step.keep().await?;
        }
        Ok(Some(done))
    }

    /// Bars that arrived after later ones of their symbol: one finding for each symbol and step, at the first of them.
    async fn judge_order(
        &self,
        step: &mut PackStep,
        changes: &[LoggedChange],
        found: &mut FoundAt,
    ) -> Result<(), StepError> {
        let ids: Vec<i32> = distinct(changes.iter().map(|change| change.symbol_id));
        let mut newest = step.newest_minutes(&ids).await?;
        let mut late = HashMap::<i32, Vec<_>>::new();
        for change in changes.iter().filter(|change| change.touched) {
            let newest = newest.entry(change.symbol_id).or_insert(change.time);
            if change.arrived && change.time < *newest {
                late.entry(change.symbol_id).or_default().push((change.time, *newest));
            }
            *newest = change.time.max(*newest);
        }
        step.remember_newest(&newest).await?;
        if late.is_empty() || !self.pack.is_enabled(PackRule::OutOfOrder) {
            return Ok(());
        }
        let symbols = step.symbols(&ids).await?;
        for (id, late) in late {
            let (Some(symbol), Some((time, _))) = (symbols.get(&id), late.iter().min()) else { continue };
            found.insert((id, *time, PackRule::OutOfOrder), out_of_order(symbol, &late, *time, &self.pack));
        }
        Ok(())
    }

    async fn judge_windows(
        &self,
        step: &mut PackStep,
        windows: &[Window],
        found: &mut FoundAt,
    ) -> Result<Vec<Judged>, StepError> {
        let symbols = step.symbols(&distinct(windows.iter().map(|window| window.symbol_id))).await?;
        let mut judged = Vec::with_capacity(windows.len());
        for windows in windows.chunks(WINDOWS) {
            let rows = step.rows(windows, self.pack.context()).await?;
            let work: Vec<(Window, Symbol, Vec<PackRow>)> = windows
                .iter()
                .zip(rows)
                .filter_map(|(window, rows)| Some((*window, symbols.get(&window.symbol_id)?.clone(), rows)))
                .collect();
            let pack = self.pack.clone();
            let results = tokio::task::spawn_blocking(move || judge_all(&work, &pack)).await?;
            for (minutes, list) in results {
                judged.push(minutes);
                found.extend(list.into_iter().map(|found| ((minutes.symbol_id, found.time, found.rule), found)));
            }
        }
        Ok(judged)
    }

    /// Asks what only the clock decides. In a replay the market's clock is not this one, so there is nothing to ask, and what
    /// an earlier source left open is resolved.
    async fn ask_clock(&self, step: &mut PackStep, now: DateTime<Utc>) -> Result<(), StepError> {
        let mut still = Vec::new();
        if self.mode == SourceMode::Live {
            let open = step.open(&OF_CLOCK).await?;
            let mut fresh = FoundAt::new();
            let bars = self.pack.window(PackRule::Freshness);
            for mut newest in step.newest(now - TRADED_WITHIN, bars).await? {
                let (symbol, id) = (&newest.symbol, newest.symbol_id);
                let silence = judge_silence(symbol, newest.time, newest.received_at, now, &self.pack);
                let late = judge_freshness(symbol, newest.time, &mut newest.delays, self.budget_seconds, &self.pack);
                for found in silence.into_iter().chain(late) {
                    // What is open stays as it was first told.
                    if !open.contains_key(&(id, found.rule)) {
                        fresh.insert((id, found.time, found.rule), found.clone());
                    }
                    still.push((id, found.rule));
                }
            }
            step.find(&fresh, now).await?;
        }
        step.resolve_others(&OF_CLOCK, &still, now).await?;
        step.clock_asked(now).await?;
        Ok(())
    }

    /// Compares the number of rows with what the changes add up to.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn compare_rows(&self, now: DateTime<Utc>) -> Result<(), StepError> {
        let rule = PackRule::RowCount;
        let count = self.store.count_rows().await?;
        let Some(mut step) = self.store.begin_pack_step(self.instance).await? else { return Ok(()) };
        let seq = step.seq;
        let expected = count.expected.unwrap_or(count.rows);
        let off = (count.rows - expected).unsigned_abs() as f64;
        if self.pack.is_enabled(rule) && off > self.pack.threshold(rule) {
            let (place, minute) = (step.open(&[rule]).await?, TimeDelta::minutes(1));
            let time = place.get(&(NO_SYMBOL, rule)).copied().or(now.duration_trunc(minute).ok()).unwrap_or(now);
            let found = Found {
                rule,
                severity: self.pack.severity(rule),
                time,
                observed: Some(format!("{} rows", count.rows)),
                expected: Some(format!("{expected} rows")),
                text: format!(
                    "The table has {} rows, and the committed changes add up to {expected}: somebody else wrote to it, or \
                     this program is wrong. Run `stockstream verify`.",
                    count.rows
                ),
            };
            step.find(&FoundAt::from([((NO_SYMBOL, time, rule), found)]), now).await?;
        } else {
            step.resolve_others(&[rule], &[], now).await?;
        }
        step.rows_counted(count, now).await?;
        step.finish(seq).await?;
        Ok(())
    }
}

fn distinct(ids: impl Iterator<Item = i32>) -> Vec<i32> {
    let mut ids: Vec<i32> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Touched minutes as windows, by symbol and time.
fn windows_of(changes: &[LoggedChange]) -> Vec<Window> {
    let mut touched: Vec<(i32, DateTime<Utc>)> =
        changes.iter().filter(|change| change.touched).map(|change| (change.symbol_id, change.time)).collect();
    touched.sort_unstable();
    let mut windows: Vec<Window> = Vec::new();
    for (symbol_id, time) in touched {
        match windows.last_mut() {
            Some(window) if window.symbol_id == symbol_id && time - window.to <= NEAR => window.to = time,
            _ => windows.push(Window { symbol_id, from: time, to: time }),
        }
    }
    windows
}

/// Judges from the bar before each window on, which may have a gap behind it now, to the last row that was read.
fn judge_all(work: &[(Window, Symbol, Vec<PackRow>)], pack: &Pack) -> Vec<(Judged, Vec<Found>)> {
    let one = |(window, symbol, rows): &(Window, Symbol, Vec<PackRow>)| {
        let after = rows.iter().map(|row| row.time).take_while(|time| *time < window.from).last();
        let until = rows.last().map_or(window.to, |row| row.time.max(window.to));
        (Judged { symbol_id: window.symbol_id, after, until }, judge(symbol, rows, after, pack))
    };
    work.iter().map(one).collect()
}

fn out_of_order(symbol: &Symbol, late: &[(DateTime<Utc>, DateTime<Utc>)], first: DateTime<Utc>, pack: &Pack) -> Found {
    let utc = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let newest = late.iter().map(|(_, newest)| *newest).max().unwrap_or(first);
    let text = match late {
        [_] => format!("{symbol}'s bar of {} arrived after that of {}.", utc(first), utc(newest)),
        _ => format!("{} bars of {symbol}, from {} on, arrived after that of {}.", late.len(), utc(first), utc(newest)),
    };
    Found {
        rule: PackRule::OutOfOrder,
        severity: pack.severity(PackRule::OutOfOrder),
        time: first,
        observed: Some(format!(
            "{} after a later bar",
            if late.len() == 1 { "1 bar".into() } else { format!("{} bars", late.len()) }
        )),
        expected: Some("bars in the order of their minutes".into()),
        text,
    }
}
