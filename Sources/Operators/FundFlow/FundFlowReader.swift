import Base
import Records
import Topology

/// `fund_flow: { … }`
struct FundFlowReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }

    private static let example =
        "fund_flow: { source: from_account, target: to_account, amount: amount, disbursements: { from: loans, "
        + "loan: loan_id, account: account, amount: amount }, within: 90d }"
    private static let disbursementsExample =
        "disbursements: { from: loans, loan: loan_id, account: account, amount: amount }"

    func read(_ node: YamlNode) {
        if step.mapping["key"] != nil {
            context.error(
                step.mapping.keyPosition("key"),
                "a fund flow has no key of its own: transfers go by their source, what it makes by 'loan'; give a step "
                    + "that reads it another key"
            )
        }
        let before = context.diagnostics.count
        let keys = [
            "source", "target", "amount", "outside", "disbursements", "method", "within", "hops", "least",
            "opening",
            "settle", "limit",
        ]
        guard
            let flow = MappingReader(
                node,
                "fund_flow",
                keys: keys,
                at: step.mapping.keyPosition("fund_flow"),
                context,
                example: Self.example
            ),
            let paid = flow.required("disbursements", example: Self.disbursementsExample).flatMap({
                MappingReader(
                    $0,
                    "disbursements",
                    keys: ["from", "loan", "account", "amount"],
                    at: flow.keyPosition("disbursements"),
                    context,
                    example: Self.disbursementsExample
                )
            }), paid.required("from", example: Self.disbursementsExample) != nil, step.inputs.count == 2
        else { return step.addMistake() }
        let loans = step.graph.input(step.inputs[1], of: step.entry.key)
        let (intake, transfers) = step.readIntake(step.inputs[0])
        let source = column("source", flow, transfers, step.inputs[0], isText: true)
        let target = column("target", flow, transfers, step.inputs[0], isText: true)
        let amount = column("amount", flow, transfers, step.inputs[0], isText: false)
        var paidDraft = StepDraft(name: "", position: step.entry.keyPosition)
        (paidDraft.columns, paidDraft.fields, paidDraft.isComplete) = (
            loans.columns, loans.fields, loans.isComplete
        )
        let loan = column("loan", paid, paidDraft, step.inputs[1], isText: true)
        let account = column("account", paid, paidDraft, step.inputs[1], isText: true)
        let disbursed = column("amount", paid, paidDraft, step.inputs[1], isText: false)
        let outside = flow.text("outside", example: "outside: channel == \"cash\"").flatMap { text in
            step.expression(text, "outside", transfers, step.inputs[0].shown, isCondition: true)
        }
        let methods = FundFlowSpec.Method.allCases.map(\.rawValue)
        let method =
            flow["method"].flatMap { context.choice($0, "method", methods) }
            .flatMap { FundFlowSpec.Method(rawValue: $0) } ?? .fifo
        let within = flow.required("within", example: "within: 90d").flatMap {
            context.duration($0, "within", least: 1)
        }
        let settle = flow["settle"].map { context.duration($0, "settle", least: 1) } ?? 1000
        let hops =
            flow["hops"].map { context.integer($0, "hops", 0...Limits.fundHopsMax, example: "hops: 5") } ?? 5
        let limits = step.readLimits(flow, [.memory])
        guard transfers.spec != nil, let source, let target, let amount, let loan, let account, let disbursed
        else {
            return step.addMistake()
        }
        let type = transfers.fields[amount].type
        guard loans.fields[disbursed].type == type else {
            context.error(
                paid.keyPosition("amount"),
                "'\(loans.fields[disbursed].name)' is \(loans.fields[disbursed].type), and the amount of transfers is "
                    + "\(type); they must be equal"
            )
            return step.addMistake()
        }
        let least = flow["least"].map { money($0, "least", type, lowest: 1) } ?? 1
        let opening = flow["opening"].map { money($0, "opening", type, lowest: 0) } ?? 0
        let results = FundFlowSpec.resultFields(type)
        for field in transfers.fields where results.contains(where: { $0.name == field.name }) {
            context.error(
                step.inputs[0].position,
                "\(step.inputs[0].shown) has a field '\(field.name)', which the results of a fund flow have as well; rename it"
            )
        }
        guard context.diagnostics.count == before, let within, let settle, let hops, let least, let opening,
            let limits,
            let time = transfers.timeField,
            let paidIntake = step.addIntake(loans, step.entry.key + "/disbursements", key: [account])
        else { return step.addMistake() }
        step.graph.drafts[intake].spec?.key = [source]
        let spec = FundFlowSpec(
            account: account,
            loan: loan,
            disbursed: disbursed,
            source: source,
            target: target,
            amount: amount,
            outside: outside,
            method: method,
            within: within,
            hops: hops,
            least: least,
            opening: opening,
            settle: settle,
            amountType: type
        )
        let operation = OperatorSpec(
            inputs: [paidIntake, intake],
            part: spec,
            schema: Schema(transfers.fields + results),
            timeField: time,
            limits: limits
        )
        step.addResult(of: intake, operation, key: ["loan"])
    }

    /// The column that a key names.
    private func column(
        _ key: String,
        _ mapping: MappingReader,
        _ draft: StepDraft,
        _ input: ScalarText,
        isText: Bool
    )
        -> Int?
    {
        guard let text = mapping.requiredText(key, example: "\(key): \(isText ? "from_account" : "amount")")
        else { return nil }
        guard let index = draft.fields.firstIndex(where: { $0.name == text.text }) else {
            if draft.isComplete {
                context.error(
                    text.position,
                    "no field '\(text.shown)' of \(input.shown)\(NearestName.hint(text.text, among: draft.fields.map(\.name)))"
                )
            }
            return nil
        }
        let type = draft.fields[index].type
        var isGood = type == .text
        if !isText { if case .decimal = type { isGood = true } else { isGood = type == .int } }
        if isGood { return index }
        context.error(
            text.position,
            "'\(text.shown)' is \(type); \(key) must be \(isText ? "text" : "decimal or int")"
        )
        return nil
    }

    private func money(_ node: YamlNode, _ what: String, _ type: ValueType, lowest: Int64) -> Int64? {
        guard let text = context.scalar(node, what, example: "\(what): 1.00") else { return nil }
        if case .success(let value) = Decimal.parse(text.text, scale: type.scale), value >= lowest {
            return value
        }
        context.error(
            text.position,
            "\(what) must be an amount of at least \(Decimal.string(lowest, scale: type.scale)) with at most \(type.scale) "
                + "places, not '\(text.shown)'"
        )
        return nil
    }
}
