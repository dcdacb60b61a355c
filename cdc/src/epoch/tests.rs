use super::*;
use chrono::TimeDelta;
use proptest::prelude::*;
use std::collections::HashMap;

fn binlog(server_id: u32) -> SourceIdent {
    SourceIdent::Binlog { server_id, base: 7 }
}

fn at(second: i64) -> Option<DateTime<Utc>> {
    Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(second))
}

/// Reads a record of a server at a place, stamped with a second; gives back its epoch.
fn read(book: &mut EpochBook, server_id: u32, hi: i64, second: i64) -> i32 {
    book.version_of(Position { ident: binlog(server_id), hi, lo: 0 }, at(second)).epoch
}

#[test]
fn streaming_after_a_snapshot_continues_its_epoch() {
    let mut book = EpochBook::default();
    assert_eq!(read(&mut book, 0, 10, 1), 1);
    assert_eq!(read(&mut book, 1001, 11, 2), 1);
    assert_eq!(read(&mut book, 0, 11, 3), 1);
    assert_eq!(book.epochs(), [Epoch { ident: binlog(1001), from: (10, 0) }], "the real id names it");
}

#[test]
fn a_new_server_and_a_new_base_name_start_new_epochs() {
    let mut book = EpochBook::default();
    assert_eq!(read(&mut book, 1001, 900, 1), 1);
    assert_eq!(read(&mut book, 1002, 10, 2), 2);
    let other = SourceIdent::Binlog { server_id: 1002, base: 8 };
    assert_eq!(book.version_of(Position { ident: other, hi: 5, lo: 0 }, at(3)).epoch, 3);
    let postgres = SourceIdent::Postgres { name: 1 };
    assert_eq!(book.version_of(Position { ident: postgres, hi: 1, lo: 0 }, at(4)).epoch, 4);
}

#[test]
fn a_failback_to_a_former_server_is_a_new_epoch_and_a_replay_of_it_is_not() {
    let mut book = EpochBook::default();
    assert_eq!(read(&mut book, 1001, 100, 10), 1);
    assert_eq!(read(&mut book, 1002, 40, 20), 2);
    assert_eq!(read(&mut book, 1001, 90, 9), 1, "read before");
    assert_eq!(read(&mut book, 1001, 100, 10), 1, "read before");
    assert_eq!(read(&mut book, 1001, 101, 30), 3, "never read: the former server is back");
    assert_eq!(read(&mut book, 1002, 40, 20), 2, "read before");
    assert_eq!(read(&mut book, 1001, 102, 31), 3);
}

#[test]
fn a_batch_that_ends_one_reign_and_begins_the_next_has_moved_in_both() {
    let mut stored = EpochBook::default();
    read(&mut stored, 1001, 10, 1);
    let mut book = stored.clone();
    read(&mut book, 1001, 20, 2);
    read(&mut book, 1002, 5, 3);
    let moved = book.moved_since(&stored);
    assert_eq!(moved.iter().map(|(epoch, reach)| (*epoch, reach.to.0)).collect::<Vec<_>>(), [(1, 20), (2, 5)]);
    // What was stored of it, after a restart: the end of the first reign is a replay when it comes again.
    let mut restored = EpochBook::restore(book.epochs().to_vec(), moved);
    assert_eq!(read(&mut restored, 1001, 20, 2), 1);
    assert_eq!(restored.epochs().len(), 2);
}

#[test]
fn a_log_that_begins_again_under_its_old_name_is_a_new_epoch() {
    let mut book = EpochBook::default();
    assert_eq!(read(&mut book, 1001, 500, 10), 1);
    assert_eq!(read(&mut book, 1001, 4, 11), 2, "stamped later than everything read: not a replay");
    assert_eq!(read(&mut book, 1001, 400, 9), 1, "a replay of the log before");
    assert_eq!(read(&mut book, 1001, 5, 12), 2);
    assert_eq!(read(&mut book, 1001, 500, 13), 2, "where the log before ended");
}

#[test]
fn a_snapshot_of_a_server_that_is_not_known_yet_is_told_by_its_stamp() {
    let mut book = EpochBook::default();
    assert_eq!(read(&mut book, 1001, 500, 10), 1);
    assert_eq!(read(&mut book, 0, 40, 20), 2, "lower and later: not the log of 1001");
    assert_eq!(read(&mut book, 1002, 41, 21), 2, "which names it");
    assert_eq!(read(&mut book, 0, 50, 22), 2, "server 0 is the current one, not the first one");
}

#[test]
fn an_old_snapshot_read_again_keeps_its_epoch() {
    let mut book = EpochBook::default();
    assert_eq!(read(&mut book, 0, 100, 5), 1);
    assert_eq!(read(&mut book, 1001, 1_000, 50), 1);
    assert_eq!(read(&mut book, 1002, 40, 90), 2);
    assert_eq!(read(&mut book, 0, 100, 5), 1, "else it would overwrite what followed it");
}

#[test]
fn partitions_agree_on_the_epochs_at_their_own_pace() {
    let (mut fast, mut slow) = (EpochBook::default(), EpochBook::default());
    assert_eq!(read(&mut fast, 1001, 100, 10), 1);
    slow.replace_epochs(fast.epochs().to_vec());
    assert_eq!(read(&mut slow, 1001, 90, 9), 1);
    assert_eq!(read(&mut fast, 1002, 5, 20), 2);
    assert_eq!(read(&mut fast, 1001, 200, 30), 3);
    slow.replace_epochs(fast.epochs().to_vec());
    assert_eq!(read(&mut slow, 1001, 110, 11), 1, "still in the first reign");
    assert_eq!(read(&mut slow, 1002, 3, 19), 2, "before the record that began the epoch");
    assert_eq!(read(&mut slow, 1001, 199, 29), 3);
    assert_eq!(read(&mut slow, 1001, 201, 31), 3);
    assert_eq!(slow.epochs(), fast.epochs());
}

#[test]
fn overlapping_transactions_of_postgres_stay_in_their_epoch() {
    let mut book = EpochBook::default();
    let postgres = SourceIdent::Postgres { name: 1 };
    for (lsn, second) in [(20, 1), (10, 2), (30, 3), (25, 4)] {
        assert_eq!(book.version_of(Position { ident: postgres, hi: lsn, lo: 0 }, at(second)).epoch, 1);
    }
}

#[test]
fn stored_names_are_read_back() {
    for ident in [
        SourceIdent::Binlog { server_id: 1001, base: 0xab },
        SourceIdent::Postgres { name: u64::MAX },
        SourceIdent::Kafka { incarnation: -1 },
    ] {
        assert_eq!(ident.to_string().parse(), Ok(ident));
    }
    assert_eq!(SourceIdent::Binlog { server_id: 1, base: 0xab }.to_string(), "binlog:1:00000000000000ab");
    for text in ["", "binlog", "binlog:1", "binlog:x:1", "postgres:1:2", "kafka:", "oracle:1"] {
        assert!(text.parse::<SourceIdent>().is_err(), "{text}");
    }
}

/// One record of the history.
#[derive(Clone, Copy, Debug)]
struct Sent {
    position: Position,
    at: Option<DateTime<Utc>>,
    partition: usize,
}

/// Some time of one server as the source: how its log begins, and what it sends.
#[derive(Clone, Debug)]
struct Reign {
    server: u32,
    /// Its log begins again from the start.
    restarted: bool,
    /// Partition of each record, and whether it is read by a snapshot.
    records: Vec<(usize, bool)>,
}

fn reigns() -> impl Strategy<Value = Vec<Reign>> {
    let records = prop::collection::vec((0_usize..3, prop::bool::weighted(0.2)), 1..8);
    let reign = (1_u32..4, prop::bool::weighted(0.2), records);
    let reign = reign.prop_map(|(server, restarted, records)| Reign { server, restarted, records });
    prop::collection::vec(reign, 1..7)
}

/// The history as the source commits it. Stamps are whole seconds; a failover takes longer than one.
fn history(reigns: &[Reign]) -> Vec<Sent> {
    let mut ends: HashMap<u32, i64> = HashMap::new();
    let mut clock = 0;
    let mut sent = Vec::new();
    for reign in reigns {
        clock += 2_000;
        let end = ends.entry(reign.server).or_insert_with(|| i64::from(reign.server) * 37);
        if reign.restarted {
            *end = 0;
        }
        for (partition, snapshot) in &reign.records {
            clock += 300;
            let server_id = if *snapshot { 0 } else { reign.server };
            *end += i64::from(!snapshot) * 10;
            let position = Position { ident: binlog(server_id), hi: *end, lo: 0 };
            sent.push(Sent { position, at: at(clock / 1_000), partition: *partition });
        }
    }
    sent
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The connector's replays, the partitions' own pace and restarts of ours change no version; and what is new is
    /// never older than what its partition read before.
    #[test]
    fn a_record_keeps_its_version_and_a_new_one_is_newer(
        reigns in reigns(),
        jumps in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..12), 0..4),
        picks in prop::collection::vec((0_usize..3, prop::bool::weighted(0.1)), 400),
    ) {
        let history = history(&reigns);
        let mut jumps: Vec<_> = jumps.iter().map(|(after, back)| (after.index(history.len()), *back)).collect();
        let mut queues: [std::collections::VecDeque<usize>; 3] = Default::default();
        let mut next = 0;
        while next < history.len() {
            queues[history[next].partition].push_back(next);
            next = match jumps.iter().position(|(after, _)| *after == next) {
                Some(place) => {
                    let (_, back) = jumps.swap_remove(place);
                    next.saturating_sub(back)
                }
                None => next + 1,
            };
        }
        let mut epochs: Vec<Epoch> = Vec::new();
        let mut books: [EpochBook; 3] = Default::default();
        let mut first: HashMap<usize, Version> = HashMap::new();
        let mut newest = [Version::NONE; 3];
        let mut picks = picks.into_iter().cycle();
        while queues.iter().any(|queue| !queue.is_empty()) {
            let (partition, restart) = picks.next().expect("it cycles");
            let ready = (0..3).map(|shift| (partition + shift) % 3).find(|partition| !queues[*partition].is_empty());
            let Some(partition) = ready else { break };
            let Some(index) = queues[partition].pop_front() else { break };
            let book = &mut books[partition];
            if restart {
                *book = EpochBook::restore(epochs.clone(), book.reached.clone());
            }
            book.replace_epochs(epochs.clone());
            let Sent { position, at, .. } = history[index];
            let version = book.version_of(position, at);
            epochs = book.epochs().to_vec();
            match first.get(&index) {
                Some(known) => prop_assert_eq!(*known, version, "{:?} comes again", history[index]),
                None => {
                    first.insert(index, version);
                    prop_assert!(version >= newest[partition], "{:?} after {:?}", version, newest[partition]);
                    newest[partition] = version;
                }
            }
            prop_assert_eq!(book.newest(), newest[partition]);
        }
    }
}
