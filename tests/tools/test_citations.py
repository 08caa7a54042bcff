# SPDX-License-Identifier: MIT
"""What tools/citations finds in trees that cite rules, tests and planted faults that are not in the contract."""

import importlib.machinery
import importlib.util
import os
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def load():
    loader = importlib.machinery.SourceFileLoader("citations", os.path.join(TOP, "tools", "citations"))
    spec = importlib.util.spec_from_loader("citations", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


citations = load()

CONTRACT = """# The contract
### Rule 1: change, then bump
Text.
* Kept by: `mm/space/slots_change.c`
* Broken by: `no_fence`
* Tests: `test_slots`

### Rule 2: the handshake
* Broken by: `no_recheck`
## Locks
"""
MUTANTS = "#define MUTANTS(X) \\\n\tX(no_fence)\t\t/* 1\tone */ \\\n\tX(no_recheck)\t/* 2\tanother */\n"


def found(exists=lambda path: True, contract=CONTRACT, **files):
    tree = {"docs/contract.md": contract, "tests/README.md": "| 1 | a test | where |\n", "mm/mutant.h": MUTANTS}
    tree.update({name.replace("__", "/") + ".c": text for name, text in files.items()})
    return list(citations.findings(tree, exists))


class Citations(unittest.TestCase):
    def test_a_tree_that_cites_what_is_there_is_clean(self):
        self.assertEqual(found(mm__mmu="/* Rules 1 and 2; rule 1 to 2. */", tests__unit__mm__test_a="/* Test 1: all. */"), [])

    def test_a_rule_that_is_not_there_is_found_with_its_line(self):
        self.assertEqual(found(mm__mmu="\n/* (rules 1 to 3) */"), ["mm/mmu.c:2: rule 3 is not in the contract"])
        self.assertEqual(found(hv__run="/* Rule 17 */"), ["hv/run.c:1: rule 17 is not in the contract"])

    def test_a_test_that_is_not_there_is_found(self):
        self.assertEqual(found(tests__unit__mm__test_a="/* Test 27: x */"), ["tests/unit/mm/test_a.c:1: test 27 is not in the contract"])
        self.assertEqual(found(guest__vuart="/* test 27 */"), [])

    def test_a_planted_fault_stands_under_its_rule(self):
        self.assertEqual(len(found(contract=CONTRACT.replace("* Broken by: `no_recheck`\n", ""))), 1)
        self.assertEqual(len(found(contract=CONTRACT.replace("`no_fence`", "`no_fence` `no_recheck`"))), 1)
        self.assertEqual(len(found(contract=CONTRACT.replace("`no_fence`", "`no_fence` `nothing`"))), 1)

    def test_files_and_tests_that_the_contract_names_exist(self):
        self.assertEqual(found(lambda path: path != "mm/space/slots_change.c"), ["docs/contract.md: mm/space/slots_change.c does not exist"])
        self.assertEqual(len(found(lambda path: path != "tests/unit/mm/test_slots.c")), 1)

    def test_the_tree_itself_is_clean(self):
        self.assertEqual(list(citations.findings(citations.tree())), [])


if __name__ == "__main__":
    unittest.main()
