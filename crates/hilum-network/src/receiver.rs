//! A small storage provider: takes what a peer moves to us (C-STORE, and C-ECHO).

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Error;
use crate::association::{Association, Event, Message};
use crate::command::{Command, element, field};
use crate::contexts::{EXPLICIT, IMPLICIT, TAKEN, is_storage};
use crate::fetched::Fetched;
use crate::node::NodeLimits;
use crate::peer::checked_title;
use crate::status::Status;
use crate::transport::{Patience, Transport, prepare};

/// How a receiver listens.
#[derive(Clone, Debug)]
pub struct ReceiverOptions {
    /// Where, such as `0.0.0.0:11113`; port 0 for any that is free.
    pub address: SocketAddr,
    /// Our title: whoever calls by another is turned away.
    pub title: String,
    /// How long a peer may be silent. Default: 60 s.
    pub patience: Duration,
    /// Associations at the same time; more are closed at once. Default: 8.
    pub associations: usize,
    /// Transfer syntaxes that are taken. Default: all that objects are stored in.
    pub syntaxes: Vec<String>,
    /// What a peer may send.
    pub limits: NodeLimits,
}

impl ReceiverOptions {
    /// At `address`, called `title`.
    #[must_use]
    pub fn new(address: SocketAddr, title: &str) -> Self {
        Self {
            address,
            title: title.to_owned(),
            patience: Duration::from_secs(60),
            associations: 8,
            syntaxes: TAKEN.iter().map(|s| (*s).to_owned()).collect(),
            limits: NodeLimits::default(),
        }
    }
}

/// What is done with an object that came; the status goes back to the peer.
type Sink = Arc<dyn Fn(Fetched) -> Status + Send + Sync>;

/// A receiver at work, in threads of its own, until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts to listen. `keep` gets every object that is what its message said.
    ///
    /// # Errors
    /// [`Error::Address`] for a title that is none, [`Error::Connection`] if the address cannot be listened on.
    pub fn start(
        options: ReceiverOptions,
        keep: impl Fn(Fetched) -> Status + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        checked_title(&options.title)?;
        let listener = TcpListener::bind(options.address).map_err(Error::Connection)?;
        let address = listener.local_addr().map_err(Error::Connection)?;
        listener.set_nonblocking(true).map_err(Error::Connection)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, keep): (_, Sink) = (Arc::clone(&stop), Arc::new(keep));
        let thread = std::thread::spawn(move || listen(&listener, &Arc::new(options), &keep, &stopped));
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Associations that are open end by themselves; nobody waits for them.
            let _ = thread.join();
        }
    }
}

fn listen(listener: &TcpListener, options: &Arc<ReceiverOptions>, keep: &Sink, stop: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((socket, _)) => {
                if open.fetch_add(1, Ordering::Relaxed) >= options.associations {
                    open.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
                let (options, keep, open) = (Arc::clone(options), Arc::clone(keep), Arc::clone(&open));
                std::thread::spawn(move || {
                    // Whatever goes wrong ends this association and no other.
                    let _ = serve(socket, &options, &keep);
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn serve(socket: TcpStream, options: &ReceiverOptions, keep: &Sink) -> Result<(), Error> {
    let patience = Patience { connect: options.patience, answer: options.patience };
    socket.set_nonblocking(false).and_then(|()| prepare(&socket, patience)).map_err(Error::Connection)?;
    converse(Box::new(socket), options, &**keep)
}

/// Grants an association on a connection and takes what comes on it.
pub(crate) fn converse(
    stream: Box<dyn Transport>,
    options: &ReceiverOptions,
    keep: &dyn Fn(Fetched) -> Status,
) -> Result<(), Error> {
    const VERIFICATION: &str = "1.2.840.10008.1.1";
    let takes = |class: &str, syntax: &str| match class {
        VERIFICATION => [EXPLICIT, IMPLICIT].contains(&syntax),
        class => is_storage(class) && options.syntaxes.iter().any(|s| s == syntax),
    };
    let mut association = Association::accept(stream, &options.title, options.patience, &options.limits, takes)?;
    loop {
        let message = match association.receive("the next object") {
            Ok(Event::Message(message)) => message,
            Ok(Event::Released) => return Ok(()),
            Err(reason) => {
                association.abort();
                return Err(reason);
            }
        };
        let (context, request) = (message.context, message.command.clone());
        let status = match request.field() {
            field::ECHO => Status::SUCCESS,
            field::STORE => take(&association, message, &options.limits, keep),
            field::CANCEL => continue,
            _ => Status::UNRECOGNISED,
        };
        association.send(context, &Command::answer(&request, status), None)?;
    }
}

/// Checks that an object is what its message says, and hands it on.
pub(crate) fn take(
    association: &Association,
    message: Message,
    limits: &NodeLimits,
    keep: &(impl Fn(Fetched) -> Status + ?Sized),
) -> Status {
    let (Some(context), Some(bytes)) = (association.context_of(message.context), message.data_set) else {
        return Status::NOT_UNDERSTOOD;
    };
    let Ok(object) = Fetched::of(bytes, &context.syntax, &limits.data_set) else { return Status::NOT_UNDERSTOOD };
    let announced = message.command.text(element::INSTANCE);
    let as_announced = object.identity.sop_class_uid == context.class
        && announced.as_deref() == Some(&object.identity.sop_instance_uid);
    if as_announced { keep(object) } else { Status::NOT_ITS_CLASS }
}
