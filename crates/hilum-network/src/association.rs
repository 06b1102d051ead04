//! Associations: asked for and granted (PS3.8 7.1 and 9.3), and the messages on them (PS3.7).

use std::time::Duration;

use dicom_ul::pdu::{
    AbortRQServiceProviderReason, AbortRQSource, AssociationAC, AssociationRJ, AssociationRJResult,
    AssociationRJServiceUserReason, AssociationRJSource, AssociationRQ, Pdu, PresentationContextProposed,
    PresentationContextResult, PresentationContextResultReason, RequestorRoles, UserVariableItem,
};

use crate::command::{Command, element, field};
use crate::node::NodeLimits;
use crate::transport::{Patience, Transport, connect};
use crate::wire::{DATA_PDU_BYTES, Incoming, Wire};
use crate::{Error, Node, Peer};

/// The application context of DICOM (PS3.7 A.2.1).
const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
/// Who we are (PS3.7 D.3.3.2): a UID made once from the program's name (PS3.5 B.2), and its version.
pub(crate) const IMPLEMENTATION_UID: &str = "2.25.236711325460398463211853475193829101143";
pub(crate) const IMPLEMENTATION_VERSION: &str = concat!("HILUM_", env!("CARGO_PKG_VERSION"));
/// What a command may occupy: they hold a dozen short elements.
const COMMAND_BYTES: usize = 64 << 10;
/// Presentation contexts have odd numbers of one byte.
pub(crate) const CONTEXTS_MAX: usize = 128;

/// A SOP class with transfer syntaxes, of which the peer picks one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) class: String,
    pub(crate) syntaxes: Vec<String>,
}

impl Proposal {
    pub(crate) fn uncompressed(class: &str) -> Self {
        Self { class: class.into(), syntaxes: vec!["1.2.840.10008.1.2.1".into(), "1.2.840.10008.1.2".into()] }
    }
}

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) id: u8,
    pub(crate) class: String,
    pub(crate) syntax: String,
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) context: u8,
    pub(crate) command: Command,
    pub(crate) data_set: Option<Vec<u8>>,
}

/// What the peer does next.
pub(crate) enum Event {
    Message(Message),
    Released,
}

/// An association in either role.
pub(crate) struct Association {
    wire: Wire,
    contexts: Vec<Context>,
    /// The longest PDU that the peer takes.
    pdu_bytes: u32,
    messages: u16,
    /// Messages that may still come after a request of ours; `None` where the peer makes the requests.
    answers_left: Option<usize>,
    limits: NodeLimits,
}

impl Association {
    /// Connects to a node and asks for an association. `roles` are classes of which we also take objects (C-GET).
    pub(crate) fn request(node: &Node, proposals: &[Proposal], roles: &[String]) -> Result<Self, Error> {
        let Peer::Node { host, port, .. } = &node.peer else {
            return Err(Error::Address("a web service does not speak DIMSE".into()));
        };
        let tls = match &node.tls {
            Some(name) => Some((node.certificates.client()?, if name.is_empty() { &host[..] } else { &name[..] })),
            None => None,
        };
        let patience = Patience { connect: node.connect, answer: node.answer };
        Self::request_on(connect(host, *port, tls, patience)?, node, proposals, roles)
    }

    /// Asks for an association on a connection.
    pub(crate) fn request_on(
        stream: Box<dyn Transport>,
        node: &Node,
        proposals: &[Proposal],
        roles: &[String],
    ) -> Result<Self, Error> {
        let mut wire = Wire::new(stream, node.answer);
        assert!(proposals.len() <= CONTEXTS_MAX, "contexts are counted before they are proposed");
        let mut user_variables = who_we_are();
        let both = RequestorRoles { scu: true, scp: true };
        user_variables
            .extend(roles.iter().map(|class| UserVariableItem::ScuScpRoleSelectionSubItem(class.clone(), both)));
        let presentation_contexts = proposals
            .iter()
            .enumerate()
            .map(|(n, proposal)| PresentationContextProposed {
                id: (2 * n + 1) as u8,
                abstract_syntax: proposal.class.clone(),
                transfer_syntaxes: proposal.syntaxes.clone(),
            })
            .collect();
        wire.write_control(&Pdu::AssociationRQ(AssociationRQ {
            protocol_version: 1,
            calling_ae_title: node.calling.clone(),
            called_ae_title: node.called.clone(),
            application_context_name: APPLICATION_CONTEXT.into(),
            presentation_contexts,
            user_variables,
        }))?;
        match wire.read("the association to be granted")? {
            Incoming::Control(Pdu::AssociationAC(granted)) => {
                let contexts = granted
                    .presentation_contexts
                    .iter()
                    .filter(|c| c.reason == PresentationContextResultReason::Acceptance)
                    .filter_map(|c| {
                        let proposal = proposals.get(usize::from(c.id / 2))?;
                        let syntax = c.transfer_syntax.trim_end_matches(['\0', ' ']);
                        let ours = c.id % 2 == 1 && proposal.syntaxes.iter().any(|s| s == syntax);
                        ours.then(|| Context { id: c.id, class: proposal.class.clone(), syntax: syntax.to_owned() })
                    })
                    .collect();
                let pdu_bytes = pdu_bytes(&granted.user_variables);
                Ok(Self { wire, contexts, pdu_bytes, messages: 0, answers_left: None, limits: node.limits.clone() })
            }
            Incoming::Control(Pdu::AssociationRJ(no)) => Err(Error::Rejected {
                reason: no.source.to_string(),
                transient: no.result == AssociationRJResult::Transient,
            }),
            other => Err(unexpected(other)),
        }
    }

    /// Grants the association that comes first on a connection: each context whose class `takes` likes, in the first of its
    /// syntaxes that we take. Returns also the title we were called by.
    pub(crate) fn accept(
        stream: Box<dyn Transport>,
        title: &str,
        patience: Duration,
        limits: &NodeLimits,
        takes: impl Fn(&str, &str) -> bool,
    ) -> Result<Self, Error> {
        let mut wire = Wire::new(stream, patience);
        let Incoming::Control(Pdu::AssociationRQ(asked)) = wire.read("the request for an association")? else {
            wire.close();
            return Err(Error::Protocol("an association has to be asked for first".into()));
        };
        if asked.called_ae_title.trim() != title {
            let reason = AssociationRJServiceUserReason::CalledAETitleNotRecognized;
            wire.write_control(&Pdu::AssociationRJ(AssociationRJ {
                result: AssociationRJResult::Permanent,
                source: AssociationRJSource::ServiceUser(reason),
            }))?;
            wire.close();
            return Err(Error::Protocol("somebody called us by another title".into()));
        }
        let mut contexts = Vec::new();
        let mut results = Vec::new();
        for proposed in asked.presentation_contexts.iter().take(CONTEXTS_MAX) {
            let clean = |uid: &str| uid.trim_end_matches(['\0', ' ']).to_owned();
            let class = clean(&proposed.abstract_syntax);
            let syntax = proposed.transfer_syntaxes.iter().map(|s| clean(s)).find(|s| takes(&class, s));
            let reason = match syntax {
                Some(_) => PresentationContextResultReason::Acceptance,
                None => PresentationContextResultReason::AbstractSyntaxNotSupported,
            };
            // The syntax of a refusal means nothing but has to be there (PS3.8 9.3.3.2).
            let transfer_syntax = syntax.clone().unwrap_or_else(|| "1.2.840.10008.1.2".into());
            results.push(PresentationContextResult { id: proposed.id, reason, transfer_syntax });
            contexts.extend(syntax.map(|syntax| Context { id: proposed.id, class, syntax }));
        }
        let pdu_bytes = pdu_bytes(&asked.user_variables);
        let mut user_variables = who_we_are();
        user_variables.extend(
            asked
                .user_variables
                .iter()
                .filter(|v| matches!(v, UserVariableItem::ScuScpRoleSelectionSubItem(..)))
                .cloned(),
        );
        wire.write_control(&Pdu::AssociationAC(AssociationAC {
            protocol_version: 1,
            calling_ae_title: asked.calling_ae_title,
            called_ae_title: asked.called_ae_title,
            application_context_name: APPLICATION_CONTEXT.into(),
            presentation_contexts: results,
            user_variables,
        }))?;
        Ok(Self { wire, contexts, pdu_bytes, messages: 0, answers_left: None, limits: limits.clone() })
    }

    /// The first context of a class that was granted.
    pub(crate) fn context(&self, class: &str) -> Option<&Context> {
        self.contexts.iter().find(|c| c.class == class)
    }

    pub(crate) fn context_with(&self, class: &str, syntax: &str) -> Option<&Context> {
        self.contexts.iter().find(|c| c.class == class && c.syntax == syntax)
    }

    pub(crate) fn context_of(&self, id: u8) -> Option<&Context> {
        self.contexts.iter().find(|c| c.id == id)
    }

    /// The number of our next request.
    pub(crate) fn next_message(&mut self) -> u16 {
        // An object and a word on how far the peer is for each answer, and the end.
        self.answers_left = Some(self.limits.answers.saturating_mul(2).saturating_add(1));
        self.messages = self.messages.wrapping_add(1).max(1);
        self.messages
    }

    /// Sends a message; the command says whether there is a data set.
    pub(crate) fn send(&mut self, context: u8, command: &Command, data_set: Option<&[u8]>) -> Result<(), Error> {
        debug_assert_eq!(command.has_data_set(), data_set.is_some());
        self.wire.write_data(context, true, &command.encode(), self.pdu_bytes)?;
        if let Some(bytes) = data_set {
            self.wire.write_data(context, false, bytes, self.pdu_bytes)?;
        }
        self.wire.flush()
    }

    /// The next message or the end. Memory grows as bytes come, up to the limits.
    pub(crate) fn receive(&mut self, waiting_for: &'static str) -> Result<Event, Error> {
        if let Some(left) = &mut self.answers_left {
            *left = left.checked_sub(1).ok_or_else(|| Error::Protocol("its answers do not end".into()))?;
        }
        let (mut context, mut command_bytes, mut data_set) = (None, Vec::new(), Vec::new());
        let mut command: Option<Command> = None;
        loop {
            match self.wire.read(waiting_for)? {
                Incoming::Data => {}
                Incoming::Control(Pdu::ReleaseRQ) if context.is_none() => {
                    // Whoever asked is gone if the answer does not arrive.
                    let _ = self.wire.write_control(&Pdu::ReleaseRP);
                    self.wire.close();
                    return Ok(Event::Released);
                }
                other => return Err(unexpected(other)),
            }
            for piece in self.wire.pieces() {
                if *context.get_or_insert(piece.context) != piece.context || piece.is_command == command.is_some() {
                    return Err(Error::Protocol("the pieces of a message do not belong together".into()));
                }
                let known = self.contexts.iter().any(|c| c.id == piece.context);
                if !known {
                    return Err(Error::Protocol("a message comes in a context that was not agreed on".into()));
                }
                let (so_far, limit, what) = if piece.is_command {
                    (&mut command_bytes, COMMAND_BYTES as u64, "a command")
                } else {
                    let is_object = command.as_ref().is_some_and(|c| c.field() == field::STORE);
                    let limit = if is_object { self.limits.object_bytes } else { self.limits.answer_bytes };
                    (&mut data_set, limit, if is_object { "an object" } else { "an answer" })
                };
                let bytes = (so_far.len() + piece.bytes.len()) as u64;
                if bytes > limit {
                    return Err(Error::TooLarge { what, bytes, limit });
                }
                so_far.extend(piece.bytes);
                if !piece.is_last {
                    continue;
                }
                let whole = match &command {
                    Some(command) => Some((command.clone(), Some(std::mem::take(&mut data_set)))),
                    None => {
                        let read = Command::decode(&command_bytes)?;
                        let alone = (!read.has_data_set()).then(|| (read.clone(), None));
                        command = Some(read);
                        alone
                    }
                };
                if let Some((command, data_set)) = whole {
                    return Ok(Event::Message(Message { context: piece.context, command, data_set }));
                }
            }
        }
    }

    /// The next message, which must be an answer to `message`.
    pub(crate) fn answer(&mut self, asked: u16, message: u16, waiting_for: &'static str) -> Result<Message, Error> {
        match self.receive(waiting_for)? {
            Event::Message(answer) => {
                let fits = answer.command.field() == asked | field::ANSWER
                    && answer.command.get(element::ANSWERED) == Some(message);
                if fits { Ok(answer) } else { Err(Error::Protocol("an answer to something else came".into())) }
            }
            Event::Released => Err(Error::Closed),
        }
    }

    /// Ends the association in good order; by now everything was answered, so nothing that goes wrong here matters.
    pub(crate) fn release(mut self) {
        if self.wire.write_control(&Pdu::ReleaseRQ).is_ok() {
            let _ = self.wire.read("the association to be released");
        }
        self.wire.close();
    }

    /// Ends the association at once.
    pub(crate) fn abort(mut self) {
        let source = AbortRQSource::ServiceProvider(AbortRQServiceProviderReason::ReasonNotSpecified);
        let _ = self.wire.write_control(&Pdu::AbortRQ { source });
        self.wire.close();
    }
}

fn who_we_are() -> Vec<UserVariableItem> {
    vec![
        UserVariableItem::MaxLength(DATA_PDU_BYTES),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_UID.into()),
        UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION.into()),
    ]
}

/// The longest PDU that a peer takes; 0 and nothing stand for any (PS3.8 D.1.1).
fn pdu_bytes(variables: &[UserVariableItem]) -> u32 {
    let stated = variables.iter().find_map(|v| match v {
        UserVariableItem::MaxLength(length) => Some(*length),
        _ => None,
    });
    match stated {
        None | Some(0) => DATA_PDU_BYTES,
        Some(length) => length.clamp(1024, DATA_PDU_BYTES),
    }
}

fn unexpected(incoming: Incoming) -> Error {
    match incoming {
        Incoming::Control(Pdu::AbortRQ { source }) => Error::Aborted(match source {
            AbortRQSource::ServiceUser => "its program gave no reason".into(),
            AbortRQSource::ServiceProvider(reason) => reason.to_string(),
            AbortRQSource::Reserved => "for an unknown reason".into(),
        }),
        Incoming::Control(Pdu::ReleaseRQ | Pdu::ReleaseRP) => Error::Closed,
        _ => Error::Protocol("something came that does not belong here".into()),
    }
}
