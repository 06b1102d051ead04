//! WADO-RS (PS3.18 10.4): a series in one answer of many parts.

use std::io::Read;

use crate::fetched::Fetched;
use crate::node::NodeLimits;
use crate::retrieve::{Keeper, Listed};
use crate::web::{Client, refused};
use crate::web_multipart::{Multipart, boundary};
use crate::{Error, Node};

pub(crate) fn series(node: &Node, root: &str, series: &Listed, keeper: &mut Keeper<'_>) -> Result<(), Error> {
    let client = Client::new(node, root)?;
    let path = format!("studies/{}/series/{}", keeper.wanted.study_uid, series.series_uid);
    // As they are stored, whatever that is.
    let answer = client.get(&path, "multipart/related; type=\"application/dicom\"; transfer-syntax=*")?;
    if answer.status().as_u16() != 200 {
        return Err(refused(&answer));
    }
    let content_type = answer.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let content_type = content_type.to_owned();
    let reader = answer.into_body().into_with_config().limit(u64::MAX).reader();
    objects(&content_type, reader, &node.limits, &mut |object| {
        let _ = keeper.keep(&object);
    })
}

/// The objects in the parts of an answer.
pub(crate) fn objects(
    content_type: &str,
    body: impl Read,
    limits: &NodeLimits,
    keep: &mut dyn FnMut(Fetched),
) -> Result<(), Error> {
    let boundary = boundary(content_type).ok_or(Error::Protocol("the answer has no parts".into()))?;
    let mut parts = Multipart::new(body, &boundary, limits.object_bytes);
    while let Some(part) = parts.next_part()? {
        // One that cannot be read or written is missing in the end; the others go on.
        if let Ok(object) = Fetched::of_file(part, &limits.data_set) {
            keep(object);
        }
    }
    Ok(())
}
