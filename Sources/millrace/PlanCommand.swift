import Base
import Engine
import Records
import Topology

enum PlanCommand: Command {
    static let name = "plan"
    static let summary = "what it takes to go from one topology file to another"
    static let help = """
        usage: millrace plan OLD NEW [--json]

        Compares two topology files and says of everything that differs what it takes: hot (running workers take it over
        at their next commit), mixed (so they do, and windows hold rows of both for as long as they reach back),
        warm-start (new or other windows, which know nothing of what was before), restart (workers are started anew, with their
        state), new-group (the state cannot go on). Exit code 0: hot; 3: mixed or warm-start; 4: restart or new-group;
        2: a file has a mistake.

          --json              {"class", "elements": [{"element", "class", "reason"}]}
          --set name=value    a parameter of both topologies; --set-old and --set-new: of one

        example: millrace plan Topologies/merchant-watch/topology.yaml changed.yaml
        """
    static let options: [String: Arguments.Kind] = [
        "--json": .flag, "--set": .values, "--set-old": .values, "--set-new": .values,
    ]

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard arguments.files.count == 2 else {
            throw Fault(.user, "two topology files are expected: the old one and the new one")
        }
        let old = try read(arguments.files[0], arguments, "--set-old")
        let new = try read(arguments.files[1], arguments, "--set-new")
        guard let old, let new else { return ExitCode.usage }
        let plan = try ChangePlan(from: old, to: new)
        if arguments.has("--json") { put(json(plan)) } else { for line in lines(plan) { put(line) } }
        return exitCode(plan.changeClass)
    }

    private static func read(_ path: String, _ arguments: Arguments, _ own: String) throws(Fault)
        -> TopologySpec?
    {
        let parameters = try arguments.parameters().merging(arguments.parameters(own)) { $1 }
        return try TopologyFile.read(path, parameters: parameters) { say("\($0)") }
    }

    static func exitCode(_ changeClass: ChangeClass) -> Int32 {
        switch changeClass {
        case .hot: 0
        case .mixed, .warmStart: 3
        case .restart, .newGroup: 4
        }
    }

    static func lines(_ plan: ChangePlan) -> [String] {
        if plan.elements.isEmpty { return ["hot: nothing differs"] }
        let width = plan.elements.map(\.element.count).max() ?? 0
        return ["\(plan.changeClass.rawValue)"]
            + plan.elements.map { element in
                let name = element.element + String(repeating: " ", count: width - element.element.count)
                let kind = element.changeClass.rawValue
                return
                    "  \(name)  \(kind)\(String(repeating: " ", count: 10 - kind.count))  \(element.reason)"
            }
    }

    static func json(_ plan: ChangePlan) -> String {
        var json = JsonWriter()
        json.beginObject()
        json.member("class", plan.changeClass.rawValue)
        json.name("elements")
        json.list(plan.elements) { json, element in
            json.beginObject()
            json.member("element", element.element)
            json.member("class", element.changeClass.rawValue)
            json.member("reason", element.reason)
            json.endObject()
        }
        json.endObject()
        return json.string
    }
}
