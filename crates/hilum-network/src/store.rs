//! C-STORE (PS3.7 9.1.1).

use hilum_dicom::{Instance, SkipReason, Uncompressed};

use crate::Error;
use crate::association::Association;
use crate::command::{Command, element, field};
use crate::node::NodeLimits;
use crate::outgoing::{Outgoing, SentHow};
use crate::status::{Service, Status};

/// Sends one object on an association and waits for the answer.
pub(crate) fn store(
    association: &mut Association,
    object: &Outgoing,
    limits: &NodeLimits,
) -> Result<(SentHow, Status), Error> {
    let local = |reason: SkipReason| Error::Local(reason.to_string());
    let file = object.read(limits).map_err(local)?;
    let instance = Instance::of(&file, &limits.data_set).map_err(local)?;
    if instance.identity() != &object.identity || instance.transfer_syntax_uid() != object.syntax_uid {
        return Err(Error::Local("the file was changed while it was to be sent".into()));
    }
    let class = &object.identity.sop_class_uid;
    let as_it_is = association.context_with(class, &object.syntax_uid);
    let (context, how, rewritten);
    let data_set = if let Some(agreed) = as_it_is {
        (context, how) = (agreed.id, SentHow::AsItIs);
        instance.data_set()
    } else {
        let other = [Uncompressed::Explicit, Uncompressed::Implicit]
            .into_iter()
            .find_map(|form| Some((association.context_with(class, form.uid())?.id, form)));
        let Some((id, form)) = other else {
            return Err(Error::NotAccepted(format!("objects of class {class}")));
        };
        rewritten = instance.uncompressed(form, &limits.data_set).map_err(|reason| match reason {
            SkipReason::TransferSyntax => {
                Error::NotAccepted(format!("transfer syntax {}, which we cannot unpack", object.syntax_uid))
            }
            other => local(other),
        })?;
        (context, how) = (id, SentHow::Uncompressed(form));
        &rewritten[..]
    };
    let message = association.next_message();
    let command = Command::request(field::STORE, class, message)
        .uid(element::INSTANCE, &object.identity.sop_instance_uid)
        .number(element::PRIORITY, 0)
        .with_data_set();
    association.send(context, &command, Some(data_set))?;
    let answer = association.answer(field::STORE, message, "the answer to C-STORE")?;
    match answer.command.status() {
        Some(status) if status.is_done() => Ok((how, status)),
        Some(status) => Err(Error::Status { service: Service::Store, status }),
        None => Err(Error::Protocol("an answer has no status".into())),
    }
}
