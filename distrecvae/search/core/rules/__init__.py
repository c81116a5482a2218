"""The rules that stop weak trials: pure functions of the curves so far, without state, Ray or Optuna.

A rule is asked after every report of a trial and judges that report alone: the same curves give the same
answer again, whatever was asked before, so a search that was interrupted needs the curves back and nothing
else.
"""

from distrecvae.search.core.rules.curves import Curve as Curve
from distrecvae.search.core.rules.curves import Judgement as Judgement
from distrecvae.search.core.rules.curves import StoppingRule as StoppingRule
from distrecvae.search.core.rules.halving import Asha as Asha
from distrecvae.search.core.rules.halving import Hyperband as Hyperband
from distrecvae.search.core.rules.halving import rung_passes as rung_passes
from distrecvae.search.core.rules.median import MedianRule as MedianRule
from distrecvae.search.core.rules.names import RULES as RULES
from distrecvae.search.core.rules.names import Never as Never
from distrecvae.search.core.rules.names import make_rule as make_rule
