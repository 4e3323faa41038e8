import Base
import Engine
import Topology

enum DocsCommand: Command {
    static let name = "docs"
    static let summary = "print what the program knows about itself"
    static let help = """
        usage: millrace docs [NAME]

        Prints a part of the reference, as Markdown; without a name, what there is.

          formats   the formats of sources, with their options
          limits    every limit: its value, what it bounds, what happens where it is hit, who says so, what raises it

        example: millrace docs limits
        """
    static let options: [String: Arguments.Kind] = [:]

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard let name = arguments.files.first else {
            for (name, about, _) in parts {
                print("\(name)\(String(repeating: " ", count: max(1, 12 - name.count)))\(about)")
            }
            return ExitCode.done
        }
        guard arguments.files.count == 1, let part = parts.first(where: { $0.name == name }) else {
            let names = parts.map(\.name).joined(separator: ", ")
            throw Fault(
                .user, "docs takes one name of \(names), not '\(arguments.files.joined(separator: " "))'")
        }
        print(part.text(), terminator: "")
        return ExitCode.done
    }

    private static let parts: [(name: String, about: String, text: @Sendable () -> String)] = [
        ("formats", "the formats of sources, with their options", { Catalogue.standard.formatReference }),
        ("operators", "the operators of steps", { Catalogue.standard.operatorReference }),
        ("sinks", "the sinks, and what each guarantees", { Catalogue.standard.sinkReference }),
        ("limits", "every limit of the program", { Limits.markdown }),
    ]
}
