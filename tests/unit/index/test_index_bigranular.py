from functools import partial

from annatto.checks import check_index
from annatto.index.bigranular import BigranularIndex
from annatto.index.codes import Coding


def test_an_index_whose_codes_find_every_row_keeps_the_contract():
    exact = partial(BigranularIndex, dtype="float32", candidates=300, probes=8)
    check_index(exact)
    check_index(partial(exact, least=100, coding=Coding(lists=8)))
