//! What a folder may be instead of a store that ended in order: another's, damaged, cut, or after a loss of power.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_store_is_held_by_one_alone_and_let_go_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let held = Disk::open(folder.path()).unwrap();
    let refused = Disk::open(folder.path()).map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::Locked(_)) && refused.known().goes.exit == Some(1), "{refused}");
    drop(held);
    assert!(Disk::open(folder.path()).is_ok());
}

#[test]
fn a_folder_of_others_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let refused = Disk::open(folder.path()).map(drop).unwrap_err();
    assert!(refused.known().goes.exit == Some(3) && refused.to_string().contains("thesis.txt"), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was left there");
    let file = folder.path().join("thesis.txt");
    let refused = Disk::open(&file.join("store")).map(drop).unwrap_err();
    assert!(
        refused.known().goes.exit == Some(3) && refused.to_string().contains("cannot be used"),
        "{refused}"
    );
}

/// The rights of a file or folder.
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_published_is_read_by_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (made, given) = (folder.path().join("parent/made"), folder.path().join("given"));
    std::fs::create_dir(&given).unwrap();
    std::fs::set_permissions(&given, Permissions::from_mode(0o755)).unwrap();
    filled(&made);
    assert_eq!((mode(&made), mode(&made.join("history"))), (0o700, 0o700));
    filled(&given);
    assert_eq!(
        (mode(&given), mode(&given.join("history"))),
        (0o755, 0o700),
        "a folder of others stays theirs"
    );
    std::fs::set_permissions(given.join("history"), Permissions::from_mode(0o755)).unwrap();
    drop(Disk::open(&given).unwrap());
    assert_eq!(mode(&given.join("history")), 0o700, "one that was made by an earlier version, too");
}

#[test]
fn what_a_killed_beginning_left_is_no_hindrance() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("new/keyspaces")).unwrap();
    std::fs::write(folder.path().join("new/0.jnl"), "half").unwrap();
    std::fs::write(folder.path().join("probe"), "half").unwrap();
    filled(folder.path());
    assert!(!folder.path().join("new").exists());
}

#[test]
fn a_store_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let database = fjall::Database::builder(folder.path().join("history")).open().unwrap();
    let about = database.keyspace("about", fjall::KeyspaceCreateOptions::default).unwrap();
    about.insert("version", [2]).unwrap();
    drop((about, database));
    let refused = Disk::open(folder.path()).map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::Version(..)), "{refused}");
    assert!(refused.to_string().contains("another version"), "{refused}");
}

#[test]
fn damage_is_said_and_nothing_is_guessed() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let broken = |change| {
        let tables = Tables::open(&folder.path().join("history")).unwrap();
        tables.commit(vec![change], false).unwrap();
        drop(tables);
        let disk = Disk::open(folder.path()).unwrap();
        disk.load(&|_| true, usize::MAX, 0).map(drop).unwrap_err().to_string()
    };
    let key = crate::store::record::record_key(&name("a"), 1);
    let error = broken(Change::Put(Table::Records, key, b"nonsense".to_vec()));
    assert!(error.contains("damaged: a publication of channel \"a\""), "{error}");
    let error = broken(Change::Put(Table::Heads, b"b".to_vec(), b"nonsense".to_vec()));
    assert!(error.contains("damaged: the entry of channel \"b\""), "{error}");
    std::fs::write(folder.path().join("history/version"), "F").unwrap();
    let refused = Disk::open(folder.path()).map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged(..)), "{refused}");
    std::fs::remove_file(folder.path().join("history/version")).unwrap();
    let refused = Disk::open(folder.path()).map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged(..)) && refused.known().goes.exit == Some(1), "{refused}");
}

#[test]
fn after_a_loss_of_power_no_position_of_before_is_believed() {
    for (synced, ended, same_boot, renewed) in [
        (Synced::EverySecond, false, false, true),
        (Synced::EverySecond, false, true, false),
        (Synced::EverySecond, true, false, false),
        (Synced::EachCommit, false, false, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(folder.path());
        let disk = bench.disk.as_mut().unwrap();
        assert_eq!(
            disk.begin(synced, Some("one"), &mut || Epoch(77)).unwrap(),
            None,
            "a new store is not suspect"
        );
        bench.publish(0, 2);
        if ended {
            bench.disk.as_mut().unwrap().end().unwrap();
        }
        drop(bench);
        let mut disk = Disk::open(folder.path()).unwrap();
        let boot = if same_boot { "one" } else { "two" };
        let found = disk.begin(Synced::EachCommit, Some(boot), &mut || Epoch(77)).unwrap();
        assert_eq!(found, renewed.then_some(Suspicion::PowerLost), "{synced:?} {ended} {same_boot}");
        let channels = disk.load(&|_| true, usize::MAX, 0).unwrap().channels;
        assert_eq!(channels[0].head.position.epoch == Epoch(77), renewed);
        assert_eq!(channels[0].records.len(), 2, "what is there stays");
        assert_eq!(disk.begin(Synced::EachCommit, Some("three"), &mut || Epoch(78)).unwrap(), None);
    }
}

/// What comes of a store with three publications when `harm` is done to its folder while it is closed; with `written_out`
/// its tables are files, and not in the journal alone.
fn after(written_out: bool, harm: impl FnOnce(&Path)) -> Result<Option<Suspicion>, StoreError> {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path());
    assert_eq!(bench.disk.as_mut().unwrap().begin(Synced::EverySecond, None, &mut || Epoch(77))?, None);
    (0..3).for_each(|_| bench.publish(0, 1));
    drop(bench);
    if written_out {
        let database = fjall::Database::builder(folder.path().join("history")).open().unwrap();
        for table in ["about", "heads", "records"] {
            let table = database.keyspace(table, fjall::KeyspaceCreateOptions::default).unwrap();
            table.rotate_memtable_and_wait().unwrap();
        }
        drop(database);
        // Its threads may hold the tables for a moment longer.
        let deadline = Instant::now() + Duration::from_secs(30);
        while Disk::open(folder.path()).is_err() {
            assert!(Instant::now() < deadline, "the tables are not let go");
            std::thread::yield_now();
        }
        Bench::new(folder.path()).publish(1, 1);
    }
    harm(folder.path());
    let mut disk = Disk::open(folder.path())?;
    let suspicion = disk.begin(Synced::EverySecond, None, &mut || Epoch(77))?;
    let found = disk.load(&|_| true, usize::MAX, 0)?;
    let renewed = found.channels.iter().all(|one| one.head.position.epoch == Epoch(77));
    assert_eq!(renewed && !found.channels.is_empty(), suspicion.is_some());
    drop(disk);
    let again = Disk::open(folder.path())?.begin(Synced::EverySecond, None, &mut || Epoch(78))?;
    assert_eq!(again, None, "it is said once");
    Ok(suspicion)
}

/// The newest of the journals, and what is written in it.
fn journal(folder: &Path) -> (std::path::PathBuf, Vec<u8>) {
    let files = std::fs::read_dir(folder.join("history")).unwrap().map(|entry| entry.unwrap().path());
    let newest = files.filter(|path| path.extension().is_some_and(|kind| kind == "jnl")).max().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    (newest, bytes)
}

fn cut_journal(folder: &Path) {
    let (path, bytes) = journal(folder);
    std::fs::write(path, &bytes[..bytes.len() - 20]).unwrap();
}

fn remove_journal(folder: &Path) {
    std::fs::remove_file(journal(folder).0).unwrap();
}

#[test]
fn what_is_missing_is_noticed_and_no_position_is_used_twice() {
    for written_out in [false, true] {
        assert_eq!(after(written_out, |_| ()).unwrap(), None);
        assert_eq!(after(written_out, cut_journal).unwrap(), Some(Suspicion::Behind));
        let forgotten = |folder: &Path| std::fs::remove_file(folder.join("reached")).unwrap();
        assert_eq!(after(written_out, forgotten).unwrap(), Some(Suspicion::Behind));
        let cut = |folder: &Path| std::fs::write(folder.join("reached"), "1").unwrap();
        assert_eq!(after(written_out, cut).unwrap(), Some(Suspicion::Behind));
    }
    for written_out in [false, true] {
        let refused = after(written_out, remove_journal).unwrap_err();
        assert!(refused.to_string().contains("damaged: its journal is gone"), "{refused}");
    }
    for table in 0..4 {
        let lose = |folder: &Path| {
            std::fs::remove_file(folder.join(format!("history/keyspaces/{table}/current"))).unwrap();
        };
        let refused = after(true, lose).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged(..)), "table {table}: {refused}");
        assert!(refused.to_string().contains("without its file 'reached'"), "{refused}");
    }
}
