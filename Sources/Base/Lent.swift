/// Something that one part of a program works with at a time. To take it while it is out stops the program:
/// what its holder has put there would be overwritten.
package final class Lent<Value> {
    private let value: Value
    private var isOut = false

    package init(_ value: Value) { self.value = value }

    /// Whoever takes it gives it back at the end of the scope: `defer { lent.giveBack() }`. (A loan whose
    /// `deinit` did so by itself stayed out in release builds of Swift 6.3.1.)
    package func take() -> Value {
        require(!isOut, "\(Value.self) is taken while it is in use")
        isOut = true
        return value
    }

    package func giveBack() { isOut = false }
}
