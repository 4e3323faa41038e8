/// What a person may do, from looking on to naming people. Roles do not contain one another but for `viewer`,
/// which all do.
package enum Role: String, CaseIterable, Sendable {
    case viewer
    /// Takes, closes and snoozes alerts.
    case analyst
    /// Writes drafts of rules and tries them on history.
    case author
    /// Approves what somebody else wrote.
    case approver
    /// Rolls back, and pauses a rule at once.
    case `operator`
    /// Names people, roles and routes.
    case admin
}
