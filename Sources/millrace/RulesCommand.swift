import Base
import Connectors
import Engine
import Glibc
import Records

enum RulesCommand: Command {
    static let name = "rules"
    static let summary = "what rules run, what is proposed, and who agrees"
    static let help = """
        usage: millrace rules list TOPOLOGY --bootstrap-server HOST:PORT [OPTIONS]
               millrace rules show TOPOLOGY [EPOCH|HASH] --bootstrap-server HOST:PORT
               millrace rules approve TOPOLOGY HASH --author NAME --key FILE --bootstrap-server HOST:PORT [OPTIONS]
               millrace rules check POLICY [--author NAME --key FILE]
               millrace rules export TOPOLOGY --bootstrap-server HOST:PORT [--records] [--topology FILE] > FILE

        `list` shows the epochs of a topology's rules, and what is proposed to follow, with approvals. `show` prints the text of an
        epoch (the newest), or of a proposal. `approve` agrees to a proposal, by the first digits of its hash. `check` reads a
        policy, and says whether a key is the one that it has for somebody. `export` writes texts, activations and the tasks'
        acknowledgements as a file that says what was active when; with `--records` all records that the topics have too, with which
        `millrace replay --activations FILE` gives the same alerts again. That file holds customers' records: `umask 077` first.

        Who must agree is said by a policy, a file that every worker is started with (`millrace run --policy FILE`):

          approvals: 1                  # of others than the author; 0: none
          approvals_outside_soft: 2     # where a parameter is beyond its `soft` range
          since: 0                      # epochs up to this one were judged by policies before this one
          people:
            lin: { key: lin.pub, duties: [author] }
            wang: { key: wang.pub, duties: [approver, operator] }     # an operator goes back to earlier rules alone
            console: { key: console.pub, speaks_for_others: true }    # has seen who logged in

        Keys are Ed25519: `openssl genpkey -algorithm ed25519 -out lin.key`, `openssl pkey -in lin.key -pubout -out lin.pub`.
        Workers take no change that is not signed by its author and by enough others; what they refuse they say in their logs.

          --author NAME        who approves
          --key FILE           the private key
          --holder NAME        whose key it is, if not the author's
          --policy FILE        the workers' policy, by which it is known which changes count
          --group NAME         the workers' consumer group instead of the topology's name
          --records            of `export`: with the records of sources, tables and repartition topics
          --topology FILE      of `export`: the file that the workers were started with, where nothing was deployed
          --set name=value     a parameter of that file
          --json               machine-readable
        \(KafkaArguments.help)

        example: millrace rules approve merchant-watch sha256:41b2 --author wang --key wang.key --policy policy.yaml \\
                   --bootstrap-server 127.0.0.1:9092
        """
    static let options: [String: Arguments.Kind] = [
        "--bootstrap-server": .value, "--author": .value, "--key": .value, "--holder": .value,
        "--policy": .value,
        "--group": .value, "--json": .flag, "--records": .flag, "--topology": .value, "--set": .values,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        let words = arguments.files
        if words.first == "check" { return try check(words, arguments) }
        if words.first == "export" { return try export(words, arguments) }
        guard words.count >= 2, words.count <= 3 else {
            throw Fault(
                .user,
                "list, show, approve, export or check is expected, and the name of a topology, like `millrace rules list merchant-watch`"
            )
        }
        var deployment = try RuleSetDeployment(
            DeployCommand.settings(arguments, topology: words[1]), policy: policy(arguments))
        switch words[0] {
        case "list": list(words[1], deployment, arguments)
        case "show": try show(words.dropFirst(2).first, deployment)
        case "approve":
            guard words.count == 3 else {
                throw Fault(.user, "the hash of a proposal is expected, as `millrace rules list` shows it")
            }
            let author =
                arguments.value("--author") ?? getenv("USER").map { String(cString: $0) } ?? "unknown"
            guard let signer = try signer(arguments, author) else {
                throw Fault(.user, "--key is missing: an approval is signed")
            }
            let ruleset = try find(words[2], among: deployment.history.proposals.map(\.ruleset))
            try deployment.approve(ruleset, by: author, signer: signer, at: SystemClock().nowMilliseconds)
            let proposal = deployment.history.proposals.first { $0.ruleset == ruleset }
            let missing = deployment.approvalsMissing(ruleset, author: proposal?.author ?? "")
            put(
                "\(author) approves \(ruleset) by \(proposal?.author ?? ""); "
                    + (missing == 0 ? "it may be deployed" : "\(missing) more must approve it"))
        case let word: throw Fault(.user, "'\(word)': list, show, approve, export or check is expected")
        }
        return ExitCode.done
    }

    /// Of `--policy`.
    static func policy(_ arguments: Arguments) throws(Fault) -> ApprovalPolicy? {
        try arguments.value("--policy").map { (file) throws(Fault) in try ApprovalPolicy.read(file: file) }
    }

    /// Of `--key`; whose key it is, unless `--holder` says so, is `person`'s.
    static func signer(_ arguments: Arguments, _ person: String) throws(Fault) -> RuleSetSigner? {
        try arguments.value("--key").map { (file) throws(Fault) in
            try RuleSetSigner(holder: arguments.value("--holder") ?? person, keyFile: file)
        }
    }

    private static func check(_ words: [String], _ arguments: Arguments) throws(Fault) -> Int32 {
        guard words.count == 2 else {
            throw Fault(.user, "the file of a policy is expected, like `millrace rules check policy.yaml`")
        }
        let policy = try ApprovalPolicy.read(file: words[1])
        put(
            "\(words[1]): \(policy.approvals) approvals, \(policy.approvalsOutsideSoft) beyond a soft range; since epoch \(policy.since)"
        )
        for (name, person) in policy.people.sorted(by: { $0.key < $1.key }) {
            let duties = person.duties.map(\.rawValue).sorted().joined(separator: ", ")
            put(
                "  \(name): \(duties.isEmpty ? "no duty" : duties)"
                    + (person.speaksForOthers ? ", speaks for others" : ""))
        }
        guard let person = arguments.value("--author") else { return ExitCode.done }
        guard let signer = try signer(arguments, person) else { throw Fault(.user, "--key is missing") }
        if let mistake = try policy.mistake(of: signer, for: person) { throw Fault(.user, mistake) }
        put("the key is \(signer.holder)'s, and workers believe it for \(person)")
        return ExitCode.done
    }

    private static func export(_ words: [String], _ arguments: Arguments) throws(Fault) -> Int32 {
        guard words.count == 2 else {
            throw Fault(
                .user, "the name of a topology is expected, like `millrace rules export merchant-watch`")
        }
        let own = try arguments.value("--topology").map { (file) throws(Fault) in
            RuleSetText(
                file: file, text: try TopologyFile.text(file), parameters: try arguments.parameters())
        }
        let topics = try BundleTopics(
            DeployCommand.settings(arguments, topology: words[1]), topology: words[1], own: own,
            policy: policy(arguments))
        var bundle = arguments.has("--records") ? try topics.everything() : topics.rules()
        (bundle.program, bundle.madeAt) = (Version.number, SystemClock().nowMilliseconds)
        let file = FileWriter.standardOutput()
        var writer = BundleWriter(file)
        try writer.write(bundle)
        try file.close()
        return ExitCode.done
    }

    private static func find(_ hash: String, among rulesets: [String]) throws(Fault) -> String {
        let found = rulesets.filter { $0.hasPrefix(hash) || $0.hasPrefix("sha256:\(hash)") }
        guard let first = found.first else {
            throw Fault(.user, "nothing that is proposed begins with '\(hash)'")
        }
        guard Set(found).count == 1 else {
            throw Fault(.user, "more than one proposal begins with '\(hash)'")
        }
        return first
    }

    private static func show(_ word: String?, _ deployment: RuleSetDeployment) throws(Fault) {
        let history = deployment.history
        let epoch = word.map { Int64($0) } ?? history.epoch
        let ruleset: String?
        if let epoch {
            ruleset = history.ruleset(ofEpoch: epoch)
        } else {
            ruleset = try find(word ?? "", among: Array(history.texts.keys))
        }
        guard let ruleset, let text = history.texts[ruleset] else {
            throw Fault(
                .user,
                "the text of epoch \(epoch ?? 0) is not known: nothing was deployed yet, or there is no such epoch"
            )
        }
        put("# \(ruleset)")
        for (name, value) in text.parameters.sorted(by: { $0.key < $1.key }) {
            put("# --set \(name)=\(value)")
        }
        put(text.text)
    }

    private static func list(_ topology: String, _ deployment: RuleSetDeployment, _ arguments: Arguments) {
        let history = deployment.history
        guard !arguments.has("--json") else { return put(json(topology, deployment)) }
        put(
            "\(topology): epoch \(history.epoch)"
                + (history.epoch == 0 ? ", the file that its workers were started with" : ""))
        for activation in history.activations.suffix(20) {
            let agreed =
                activation.approvals.isEmpty
                ? "" : ", approved by \(activation.approvals.map(\.by).joined(separator: ", "))"
            put(
                "  epoch \(activation.epoch)  \(activation.ruleset)  \(activation.at)  \(activation.author)\(agreed)"
                    + (activation.reason.isEmpty ? "" : ": \(activation.reason)"))
        }
        for proposal in history.proposals {
            let agreed =
                proposal.approvals.isEmpty
                ? "no approval" : "approved by \(proposal.approvals.map(\.by).joined(separator: ", "))"
            let missing = deployment.approvalsMissing(proposal.ruleset, author: proposal.author)
            put(
                "  proposed  \(proposal.ruleset)  \(proposal.at)  \(proposal.author), \(agreed), \(missing) missing"
                    + (proposal.reason.isEmpty ? "" : ": \(proposal.reason)"))
        }
    }

    private static func json(_ topology: String, _ deployment: RuleSetDeployment) -> String {
        var json = JsonWriter()
        json.beginObject()
        json.member("topology", topology)
        json.member("epoch", deployment.history.epoch)
        json.name("activations")
        json.list(deployment.history.activations) { $0.written($1.json) }
        json.name("proposals")
        json.list(deployment.history.proposals) { json, proposal in
            json.beginObject()
            json.member("ruleset", proposal.ruleset)
            json.member("previous", proposal.previous)
            json.member("author", proposal.author)
            json.member("reason", proposal.reason)
            json.member("at", proposal.at)
            json.name("approvers")
            json.list(proposal.approvals) { $0.text($1.by) }
            json.member(
                "missing", Int64(deployment.approvalsMissing(proposal.ruleset, author: proposal.author)))
            json.endObject()
        }
        json.endObject()
        return json.string
    }
}
