import Http

extension Console {
    /// Every end point, who may, and what it does: `openapi.json` says the same, and a test holds them equal.
    static let routes: [Route] = [
        Route("GET", "/api/info", "getInfo", .everybody) { (console, call) throws(ApiError) in
            try SystemApi(console: console).info(call)
        },
        Route("POST", "/api/session", "logIn", .everybody) { (_, _) throws(ApiError) in
            throw ApiError(500, "internal", "log-in")
        },
        Route("GET", "/api/session", "getSession", .all) { (console, call) throws(ApiError) in
            ServedAnswer(200, console.sessionJson(call.caller))
        },
        Route("DELETE", "/api/session", "logOut", .all) { (console, call) throws(ApiError) in
            if let session = call.caller.session { _ = console.sessions.end(session) }
            return ServedAnswer(204)
        },
        Route("PUT", "/api/session/language", "setLanguage", .all) { (console, call) throws(ApiError) in
            try SystemApi(console: console).setLanguage(call)
        },
        Route("GET", "/api/overview", "getOverview", .all) { (console, call) throws(ApiError) in
            try SystemApi(console: console).overview(call)
        },
        Route("GET", "/api/events", "streamEvents", .all) { (console, call) throws(ApiError) in
            try SystemApi(console: console).events(call)
        },
        Route("POST", "/api/popups/{id}/seen", "seePopup", .all) { (console, call) throws(ApiError) in
            console.sessions.see(call.values["id"] ?? "", call.caller)
            return ServedAnswer(204)
        },
        Route("GET", "/api/openapi.json", "getOpenapi", .all) { (console, _) throws(ApiError) in
            ServedAnswer(200, headers: [("Content-Type", "application/json")], body: console.pages.openapi)
        },
        Route("GET", "/api/alerts", "listAlerts", .all) { (console, call) throws(ApiError) in
            try AlertsApi(console: console).listAlerts(call)
        },
        Route("GET", "/api/alerts/facets", "countAlerts", .all) { (console, call) throws(ApiError) in
            try AlertsApi(console: console).countAlerts(call)
        },
        Route("POST", "/api/alerts/next", "takeNextAlert", .only(.analyst)) {
            (console, call) throws(ApiError) in try AlertsApi(console: console).takeNext(call)
        },
        Route("POST", "/api/alerts/bulk", "changeAlerts", .only(.analyst)) {
            (console, call) throws(ApiError) in try AlertsApi(console: console).changeAlerts(call)
        },
        Route("GET", "/api/alerts/{id}", "getAlert", .all) { (console, call) throws(ApiError) in
            try AlertsApi(console: console).getAlert(call)
        },
        Route(
            "GET", "/api/alerts/{id}/records", "getAlertRecords",
            .only(.analyst, .author, .approver, .operator)
        ) {
            (console, call) throws(ApiError) in try AlertsApi(console: console).alertRecords(call)
        },
        Route("GET", "/api/alerts/{id}/deliveries", "getAlertDeliveries", .all) {
            (console, call) throws(ApiError) in
            try AlertsApi(console: console).alertDeliveries(call)
        },
        Route("POST", "/api/alerts/{id}/take", "takeAlert", .only(.analyst)) {
            (console, call) throws(ApiError) in try AlertsApi(console: console).dispose(call, .take)
        },
        Route("POST", "/api/alerts/{id}/close", "closeAlert", .only(.analyst)) {
            (console, call) throws(ApiError) in
            try AlertsApi(console: console).dispose(call, .close)
        },
        Route("POST", "/api/alerts/{id}/snooze", "snoozeAlert", .only(.analyst)) {
            (console, call) throws(ApiError) in
            try AlertsApi(console: console).dispose(call, .snooze)
        },
        Route("POST", "/api/alerts/{id}/reopen", "reopenAlert", .only(.analyst)) {
            (console, call) throws(ApiError) in
            try AlertsApi(console: console).dispose(call, .reopen)
        },
        Route("POST", "/api/alerts/{id}/note", "noteAlert", .only(.analyst)) {
            (console, call) throws(ApiError) in try AlertsApi(console: console).dispose(call, .note)
        },
        Route("GET", "/api/topologies", "listTopologies", .all) { (console, call) throws(ApiError) in
            RulesApi(console: console).listTopologies(call)
        },
        Route("GET", "/api/rules", "listRules", .all) { (console, call) throws(ApiError) in
            try RulesApi(console: console).listRules(call)
        },
        Route("GET", "/api/topologies/{topology}/rules/{rule}", "getRule", .all) {
            (console, call) throws(ApiError) in try RulesApi(console: console).getRule(call)
        },
        Route("GET", "/api/topologies/{topology}/text", "getText", .all) { (console, call) throws(ApiError) in
            try RulesApi(console: console).getText(call)
        },
        Route("GET", "/api/topologies/{topology}/history", "getHistory", .all) {
            (console, call) throws(ApiError) in try RulesApi(console: console).getHistory(call)
        },
        Route("GET", "/api/topologies/{topology}/activation", "getActivation", .all) {
            (console, call) throws(ApiError) in
            ServedAnswer(200, try RulesApi(console: console).topology(call).activationJson())
        },
        Route("POST", "/api/topologies/{topology}/rollback", "rollBack", .only(.operator)) {
            (console, call) throws(ApiError) in
            try ChangesApi(console: console).rollBack(call)
        },
        Route("GET", "/api/jobs/{id}", "getJob", .all) { (console, call) throws(ApiError) in
            try ChangesApi(console: console).getJob(call)
        },
        Route("GET", "/api/topologies/{topology}/graph", "getGraph", .all) {
            (console, call) throws(ApiError) in try RulesApi(console: console).getGraph(call)
        },
        Route("GET", "/api/topologies/{topology}/tasks", "getTasks", .all) {
            (console, call) throws(ApiError) in try RulesApi(console: console).getTasks(call)
        },
        Route(
            "GET", "/api/topologies/{topology}/letters", "listLetters",
            .only(.analyst, .author, .approver, .operator)
        ) {
            (console, call) throws(ApiError) in try RulesApi(console: console).listLetters(call)
        },
        Route("POST", "/api/topologies/{topology}/letters/resend", "resendLetters", .only(.operator)) {
            (console, call) throws(ApiError) in
            try RulesApi(console: console).resendLetters(call)
        },
        Route("POST", "/api/lint", "lintText", .only(.author, .approver, .operator)) {
            (console, call) throws(ApiError) in try ChangesApi(console: console).lint(call)
        },
        Route("POST", "/api/plan", "planText", .only(.author, .approver, .operator)) {
            (console, call) throws(ApiError) in try ChangesApi(console: console).plan(call)
        },
        Route("POST", "/api/backtests", "startBacktest", .only(.author, .approver)) {
            (console, call) throws(ApiError) in
            try ChangesApi(console: console).startBacktest(call)
        },
        Route("GET", "/api/backtests", "listBacktests", .only(.author, .approver, .operator, .admin)) {
            (console, call) throws(ApiError) in
            ChangesApi(console: console).listBacktests(call)
        },
        Route("GET", "/api/backtests/{id}", "getBacktest", .only(.author, .approver, .operator, .admin)) {
            (console, call) throws(ApiError) in
            guard let job = console.jobs.backtest(call.values["id"] ?? "") else {
                throw .notFound("there is no such backtest")
            }
            return ServedAnswer(200, job.json(withReport: true))
        },
        Route("DELETE", "/api/backtests/{id}", "stopBacktest", .only(.author, .approver)) {
            (console, call) throws(ApiError) in
            let id = call.values["id"] ?? ""
            guard console.jobs.backtest(id) != nil else { throw .notFound("there is no such backtest") }
            guard console.jobs.stopBacktest(id) else {
                throw ApiError(409, "conflict", "only one that waits can be stopped")
            }
            return ServedAnswer(204)
        },
        Route("GET", "/api/changes", "listChanges", .all) { (console, call) throws(ApiError) in
            ChangesApi(console: console).listChanges(call)
        },
        Route("POST", "/api/changes", "createChange", .only(.author)) { (console, call) throws(ApiError) in
            try ChangesApi(console: console).createChange(call)
        },
        Route("GET", "/api/changes/{id}", "getChange", .all) { (console, call) throws(ApiError) in
            try ChangesApi(console: console).getChange(call)
        },
        Route("PUT", "/api/changes/{id}", "editChange", .only(.author)) { (console, call) throws(ApiError) in
            try ChangesApi(console: console).editChange(call)
        },
        Route("POST", "/api/changes/{id}/submit", "submitChange", .only(.author)) {
            (console, call) throws(ApiError) in
            try ChangesApi(console: console).step(call, .submit)
        },
        Route("POST", "/api/changes/{id}/approve", "approveChange", .only(.approver)) {
            (console, call) throws(ApiError) in
            try ChangesApi(console: console).step(call, .approve)
        },
        Route("POST", "/api/changes/{id}/return", "returnChange", .only(.approver)) {
            (console, call) throws(ApiError) in
            try ChangesApi(console: console).step(call, .return)
        },
        Route("POST", "/api/changes/{id}/discard", "discardChange", .only(.author)) {
            (console, call) throws(ApiError) in
            try ChangesApi(console: console).step(call, .discard)
        },
        Route("POST", "/api/changes/{id}/activate", "activateChange", .only(.approver, .operator)) {
            (console, call) throws(ApiError) in
            try ChangesApi(console: console).activateChange(call)
        },
        Route("GET", "/api/notifications", "listNotifications", .only(.analyst, .approver, .operator, .admin))
        {
            (console, call) throws(ApiError) in try SystemApi(console: console).listNotifications(call)
        },
        Route("GET", "/api/models", "listModels", .all) { (console, call) throws(ApiError) in
            SystemApi(console: console).listModels(call)
        },
        Route("GET", "/api/audit", "listAudit", .only(.approver, .operator, .admin)) {
            (console, call) throws(ApiError) in
            try SystemApi(console: console).listAudit(call)
        },
        Route("GET", "/api/audit/verify", "verifyAudit", .only(.approver, .operator, .admin)) {
            (console, call) throws(ApiError) in
            SystemApi(console: console).verifyAudit(call)
        },
        Route("GET", "/api/people", "listPeople", .only(.admin)) { (console, call) throws(ApiError) in
            SystemApi(console: console).listPeople(call)
        },
        Route("GET", "/api/sessions", "listSessions", .only(.admin)) { (console, call) throws(ApiError) in
            SystemApi(console: console).listSessions(call)
        },
        Route("DELETE", "/api/sessions/{id}", "endSession", .only(.admin)) {
            (console, call) throws(ApiError) in
            guard console.sessions.end(call.values["id"] ?? "") else {
                throw .notFound("there is no such session")
            }
            return ServedAnswer(204)
        },
    ]
}
