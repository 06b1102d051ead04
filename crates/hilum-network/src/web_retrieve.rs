//! WADO-RS (PS3.18 10.4): a series in one answer of many parts.

use crate::fetched::Fetched;
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
    let boundary = boundary(content_type).ok_or(Error::Protocol("the answer has no parts".into()))?;
    let reader = answer.into_body().into_with_config().limit(u64::MAX).reader();
    let mut parts = Multipart::new(reader, &boundary, node.limits.object_bytes);
    while let Some(part) = parts.next_part()? {
        // One that cannot be read or written is missing in the end; the others go on.
        if let Ok(object) = Fetched::of_file(part, &node.limits.data_set) {
            let _ = keeper.keep(&object);
        }
    }
    Ok(())
}
