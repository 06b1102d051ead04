//! What the numbers in answers mean (PS3.7 Annex C, PS3.4 B.2.3, C.4.1.1.4, C.4.2.1.5, C.4.3.1.4).

use std::fmt;

/// A service of DIMSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Service {
    /// C-ECHO.
    Echo,
    /// C-STORE.
    Store,
    /// C-FIND.
    Find,
    /// C-GET.
    Get,
    /// C-MOVE.
    Move,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Echo => "C-ECHO",
            Self::Store => "C-STORE",
            Self::Find => "C-FIND",
            Self::Get => "C-GET",
            Self::Move => "C-MOVE",
        })
    }
}

/// The status of an answer, (0000,0900).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

/// The classes of status (PS3.7 C.1 to C.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusKind {
    /// Done.
    Success,
    /// Done, with a remark.
    Warning,
    /// More will come.
    Pending,
    /// Stopped on request.
    Cancel,
    /// Not done.
    Failure,
}

impl Status {
    /// Done.
    pub const SUCCESS: Self = Self(0);
    pub(crate) const OUT_OF_RESOURCES: Self = Self(0xA700);
    pub(crate) const NOT_ITS_CLASS: Self = Self(0xA900);
    pub(crate) const NOT_UNDERSTOOD: Self = Self(0xC000);
    pub(crate) const UNRECOGNISED: Self = Self(0x0211);

    /// Its class.
    #[must_use]
    pub fn kind(self) -> StatusKind {
        match self.0 {
            0x0000 => StatusKind::Success,
            0xFF00 | 0xFF01 => StatusKind::Pending,
            0xFE00 => StatusKind::Cancel,
            0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => StatusKind::Warning,
            _ => StatusKind::Failure,
        }
    }

    /// Whether the operation was carried out, if with a remark.
    #[must_use]
    pub fn is_done(self) -> bool {
        matches!(self.kind(), StatusKind::Success | StatusKind::Warning)
    }

    /// Whether the peer may manage later: it is out of resources.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self.0, 0xA700..=0xA7FF | 0x0213)
    }

    /// The number and what the standard says it means for this service.
    #[must_use]
    pub fn explain(self, service: Service) -> String {
        let meaning = match (service, self.0) {
            (_, 0x0000) => "success",
            (_, 0xFF00 | 0xFF01) => "pending",
            (_, 0xFE00) => "cancelled",
            (Service::Store, 0xA700..=0xA7FF) => "refused: out of resources",
            (Service::Store, 0xA900..=0xA9FF) => "the data set is not of the SOP class it was announced as",
            (Service::Store, 0xC000..=0xCFFF) => "the data set cannot be understood",
            (Service::Store, 0xB000) => "stored, some elements coerced",
            (Service::Store, 0xB006) => "stored, some elements discarded",
            (Service::Store, 0xB007) => "stored, though the data set does not match its SOP class",
            (Service::Get | Service::Move, 0xA701) => "refused: out of resources, the matches cannot be counted",
            (Service::Get | Service::Move, 0xA702) => "refused: out of resources, objects cannot be sent",
            (Service::Move, 0xA801) => "refused: the move destination is not known to the peer",
            (Service::Get | Service::Move, 0xB000) => "done, but some objects failed",
            (Service::Find, 0xA700) => "refused: out of resources",
            (_, 0xA900) => "the query does not match its SOP class",
            (_, 0xC000..=0xCFFF) => "the peer cannot process it",
            (_, 0x0105) => "no such attribute",
            (_, 0x0106) => "invalid attribute value",
            (_, 0x0107) => "an attribute is not in the list of attributes",
            (_, 0x0110) => "processing failure",
            (_, 0x0111) => "duplicate SOP instance",
            (_, 0x0112) => "no such SOP instance",
            (_, 0x0115) => "invalid argument value",
            (_, 0x0116) => "attribute value out of range",
            (_, 0x0117) => "invalid object instance",
            (_, 0x0118) => "no such SOP class",
            (_, 0x0119) => "class and instance conflict",
            (_, 0x0120) => "missing attribute",
            (_, 0x0121) => "missing attribute value",
            (_, 0x0122) => "SOP class not supported",
            (_, 0x0124) => "refused: not authorised",
            (_, 0x0210) => "duplicate invocation",
            (_, 0x0211) => "unrecognised operation",
            (_, 0x0212) => "mistyped argument",
            (_, 0x0213) => "resource limitation",
            (_, 0xB000..=0xBFFF) => "done, with a warning",
            _ => "failure of a kind that the standard does not name",
        };
        format!("0x{:04X}, {meaning}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_mean_what_the_standard_says() {
        for (status, service, kind, words) in [
            (0x0000, Service::Store, StatusKind::Success, "success"),
            (0xA712, Service::Store, StatusKind::Failure, "out of resources"),
            (0xA801, Service::Move, StatusKind::Failure, "destination"),
            (0xB007, Service::Store, StatusKind::Warning, "does not match"),
            (0xB000, Service::Get, StatusKind::Warning, "some objects failed"),
            (0xC123, Service::Find, StatusKind::Failure, "cannot process"),
            (0xFF01, Service::Find, StatusKind::Pending, "pending"),
            (0x0124, Service::Store, StatusKind::Failure, "not authorised"),
            (0x4242, Service::Echo, StatusKind::Failure, "does not name"),
        ] {
            let status = Status(status);
            assert_eq!(status.kind(), kind, "{status:?}");
            let text = status.explain(service);
            assert!(text.contains(words) && text.starts_with(&format!("0x{:04X}", status.0)), "{text}");
        }
        assert!(Status(0xA700).is_transient() && !Status(0xA900).is_transient());
    }
}
