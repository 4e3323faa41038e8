/// What became of one try.
package struct SendOutcome: Equatable, Sendable {
    package enum Verdict: String, Sendable {
        case delivered
        /// The other side said that it did not take it; later it may.
        case refused
        /// No answer came, so it may have been taken.
        case unknown
        /// It makes no sense to try again.
        case dead
        /// Nothing is to be sent to this address any more (410).
        case gone
    }

    package var verdict: Verdict
    /// Of HTTP or SMTP; 0: there was no answer.
    package var code = 0
    package var text = ""
    /// Milliseconds that the other side wants to be left alone.
    package var retryAfter: Int64?
    /// How the provider calls it.
    package var receipt: String?
    /// Parts of an SMS.
    package var parts: Int?
    package var milliseconds: Int64 = 0

    package init(_ verdict: Verdict, code: Int = 0, text: String = "", retryAfter: Int64? = nil) {
        (self.verdict, self.code, self.text, self.retryAfter) = (verdict, code, text, retryAfter)
    }
}

/// What somebody decided about an alert, in the console or by a link.
package struct AlertDisposition: Equatable, Sendable {
    package enum Status: String, Sendable { case open, taken, closed, snoozed }

    package var status: Status
    /// Of snoozed alerts, milliseconds; nil: until somebody opens it.
    package var until: Int64?

    package init(_ status: Status, until: Int64? = nil) { (self.status, self.until) = (status, until) }
}
