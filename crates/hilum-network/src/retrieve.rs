//! Studies and series brought here: C-GET, C-MOVE or WADO-RS, with a count of what came.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::fetched::{Fetched, Kept};
use crate::find::{Level, Query, query};
use crate::receiver::ReceiverOptions;
use crate::{Error, Folder, Node, Outgoing, Peer, get, moving, web_retrieve};

/// What is to be brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID; otherwise all series of the study.
    pub series_uid: Option<String>,
}

/// How it is brought.
#[derive(Clone, Debug)]
pub struct RetrieveOptions {
    /// Ask the peer to move objects to this receiver of ours instead of sending them over the same association. The peer has
    /// to know its title and address.
    pub receiver: Option<ReceiverOptions>,
    /// Attempts for each series; what has come stays. Default: 3.
    pub attempts: u32,
    /// Pause before the second attempt; twice as long before each further one. Default: 1 s.
    pub pause: Duration,
}

impl Default for RetrieveOptions {
    fn default() -> Self {
        Self { receiver: None, attempts: 3, pause: Duration::from_secs(1) }
    }
}

/// What came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retrieval {
    /// Objects that were written.
    pub written: usize,
    /// Objects that were there already.
    pub already_there: usize,
    /// UIDs of objects that the peer lists and that did not come, sorted, each with the reason where one is known.
    pub missing: BTreeMap<String, String>,
    /// How many objects the peer lists, where it does.
    pub listed: Option<usize>,
}

/// The objects of a series by class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    pub(crate) series_uid: String,
    /// Instance and class, the latter empty if the peer does not tell.
    pub(crate) objects: BTreeMap<String, String>,
}

/// Counts what comes in and writes it.
pub(crate) struct Keeper<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) wanted: &'a Wanted,
    pub(crate) came: BTreeSet<String>,
    pub(crate) written: usize,
    pub(crate) already_there: usize,
    pub(crate) failed: BTreeMap<String, String>,
    pub(crate) progress: &'a (dyn Fn(usize) + Sync),
}

impl Keeper<'_> {
    /// Keeps an object; an error is a sentence on why it could not be kept. Objects of another study or series were not
    /// asked for.
    pub(crate) fn keep(&mut self, object: &Fetched) -> Result<(), String> {
        let identity = &object.identity;
        let asked = identity.study_uid.as_ref() == Some(&self.wanted.study_uid)
            && (self.wanted.series_uid.is_none() || identity.series_uid == self.wanted.series_uid);
        let uid = identity.sop_instance_uid.clone();
        if !asked {
            let reason = "it is of another study or series than was asked for".to_owned();
            self.failed.insert(uid, reason.clone());
            return Err(reason);
        }
        match self.folder.keep(object) {
            Ok(_) if !self.came.insert(uid.clone()) => {}
            Ok(Kept::Written) => self.written += 1,
            Ok(Kept::AlreadyThere) => self.already_there += 1,
            Err(reason) => {
                let reason = format!("it cannot be written: {reason}");
                self.failed.insert(uid, reason.clone());
                return Err(reason);
            }
        }
        self.failed.remove(&uid);
        (self.progress)(self.came.len());
        Ok(())
    }
}

/// Brings a study or series into a folder. `progress` gets the number of objects so far and of those that the peer lists.
///
/// # Errors
/// Why nothing could be brought. What came in part is in the result, whose `missing` names the rest.
pub fn retrieve(
    node: &Node,
    wanted: &Wanted,
    folder: &Folder,
    options: &RetrieveOptions,
    progress: &(dyn Fn(usize, Option<usize>) + Sync),
) -> Result<Retrieval, Error> {
    let listed = list(node, wanted)?;
    let total: usize = listed.iter().map(|s| s.objects.len()).sum();
    if total == 0 {
        return Err(Error::Local("the peer has no such study or series".into()));
    }
    let counting = |came: usize| progress(came, Some(total));
    let mut keeper = Keeper {
        folder,
        wanted,
        came: BTreeSet::new(),
        written: 0,
        already_there: 0,
        failed: BTreeMap::new(),
        progress: &counting,
    };
    for series in &listed {
        // Series that are here in full, each file to its end, are not fetched again.
        let here = |uid: &String| {
            let place = folder.place(Some(&wanted.study_uid), Some(&series.series_uid), uid);
            Outgoing::of(&place, &node.limits).and_then(|object| object.read(&node.limits)).is_ok()
        };
        let there: Vec<String> = series.objects.keys().filter(|uid| here(uid)).cloned().collect();
        if there.len() == series.objects.len() {
            keeper.already_there += there.len();
            keeper.came.extend(there);
            counting(keeper.came.len());
            continue;
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            let result = match (&node.peer, &options.receiver) {
                (Peer::Web(root), _) => web_retrieve::series(node, root, series, &mut keeper),
                (_, Some(receiver)) => moving::series(node, series, receiver, &mut keeper),
                (_, None) => get::series(node, series, &mut keeper),
            };
            let complete = series.objects.keys().all(|uid| keeper.came.contains(uid));
            match result {
                Ok(()) => break,
                _ if complete => break,
                Err(reason) if reason.is_transient() && attempts < options.attempts => {
                    std::thread::sleep(options.pause.saturating_mul(1 << (attempts - 1).min(6)));
                }
                Err(reason) if keeper.came.is_empty() && listed.len() == 1 => return Err(reason),
                Err(reason) => {
                    for uid in series.objects.keys().filter(|uid| !keeper.came.contains(*uid)) {
                        keeper.failed.entry(uid.clone()).or_insert_with(|| reason.to_string());
                    }
                    break;
                }
            }
        }
    }
    let mut missing = keeper.failed;
    for uid in listed.iter().flat_map(|s| s.objects.keys()).filter(|uid| !keeper.came.contains(*uid)) {
        missing.entry(uid.clone()).or_insert_with(|| "it did not come, and the peer gave no reason".into());
    }
    Ok(Retrieval { written: keeper.written, already_there: keeper.already_there, missing, listed: Some(total) })
}

/// What the peer has of a study: by series, so that each can be asked for with the contexts it needs, and counted.
fn list(node: &Node, wanted: &Wanted) -> Result<Vec<Listed>, Error> {
    let study = ("StudyInstanceUID", &wanted.study_uid[..]);
    let series_uids: Vec<String> = match &wanted.series_uid {
        Some(uid) => vec![uid.clone()],
        None => {
            let found = query(node, &Query::new(Level::Series, &[study])?)?.0;
            found.iter().filter_map(|f| f.text("SeriesInstanceUID")).collect()
        }
    };
    let mut all = Vec::new();
    for series_uid in series_uids {
        let mut images = Query::new(Level::Image, &[study, ("SeriesInstanceUID", &series_uid)])?;
        images.most = node.limits.answers;
        let mut objects = BTreeMap::new();
        for found in query(node, &images)?.0 {
            if let Some(uid) = found.text("SOPInstanceUID").filter(|uid| hilum_dicom::is_safe_uid(uid)) {
                objects.insert(uid, found.text("SOPClassUID").unwrap_or_default());
            }
        }
        all.push(Listed { series_uid, objects });
    }
    Ok(all)
}
