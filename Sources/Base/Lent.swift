/// Something that one part of a program works with at a time. Whoever takes it has it until the loan goes out of scope,
/// and there is no other way to it. To take it while it is out stops the program: what its holder has put there would be
/// overwritten.
package final class Lent<Value> {
    private let value: Value
    fileprivate var isOut = false

    package init(_ value: Value) { self.value = value }

    package func take() -> Loan<Value> {
        require(!isOut, "\(Value.self) is taken while it is in use")
        isOut = true
        return Loan(value, of: self)
    }
}

/// What was taken; it goes back at the end of the scope.
package struct Loan<Value>: ~Copyable {
    package let value: Value
    private let owner: Lent<Value>

    fileprivate init(_ value: Value, of owner: Lent<Value>) {
        self.value = value
        self.owner = owner
    }

    deinit { owner.isOut = false }
}
