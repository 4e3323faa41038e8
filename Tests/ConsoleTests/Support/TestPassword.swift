import Base
import Security

enum TestPassword {
    static func hash(_ password: String) throws(Fault) -> String { try Password.hash(password) }
}
