//! What a stranger asks, and about whom.

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    SignUp,
    Resend,
}

/// What is known of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Nothing.
    Unknown,
    /// Nothing either: the control that must look the same.
    AlsoUnknown,
    /// It has a profile that was confirmed, and no mail lately.
    Confirmed,
    /// It has a profile that was not confirmed, and no mail lately.
    Pending,
    /// It has a profile, and a mail was written to it just now.
    CoolingDown,
    /// As `Confirmed`, and the endpoint leaks it: the control that must be
    /// found.
    Planted,
}

impl Route {
    pub(crate) const ALL: [Self; 2] = [Self::SignUp, Self::Resend];

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::SignUp => "/signup",
            Self::Resend => "/signup/resend",
        }
    }
}

impl Class {
    /// The question: each is held against the first.
    pub(crate) const QUESTION: [Self; 4] = [
        Self::Unknown,
        Self::Confirmed,
        Self::Pending,
        Self::CoolingDown,
    ];
    /// The controls of the instrument: likewise.
    pub(crate) const CONTROLS: [Self; 3] = [Self::Unknown, Self::AlsoUnknown, Self::Planted];

    pub(crate) const fn has_profile(self) -> bool {
        !matches!(self, Self::Unknown | Self::AlsoUnknown)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::AlsoUnknown => "control: unknown",
            Self::Confirmed => "confirmed",
            Self::Pending => "pending",
            Self::CoolingDown => "in cool-down",
            Self::Planted => "control: planted",
        }
    }

    pub(crate) const fn is_confirmed(self) -> bool {
        matches!(self, Self::Confirmed | Self::Planted)
    }

    /// How many mails an address that had `before` has after it was asked
    /// about; `None` if it has no profile.
    pub(crate) const fn mails_after(self, route: Route, before: Option<u64>) -> Option<u64> {
        match (self, before, route) {
            (Self::CoolingDown, ..) => before,
            (_, Some(mails), _) => Some(mails + 1),
            (_, None, Route::SignUp) => Some(1),
            (_, None, Route::Resend) => None,
        }
    }
}
