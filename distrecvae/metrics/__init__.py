"""Metrics of rankings: what they are called, and how they are computed. Pure NumPy."""

from distrecvae.metrics.names import KINDS as KINDS
from distrecvae.metrics.names import METRICS as METRICS
from distrecvae.metrics.names import RANKS as RANKS
from distrecvae.metrics.names import Metric as Metric
from distrecvae.metrics.names import listed as listed
from distrecvae.metrics.names import metric_of as metric_of
from distrecvae.metrics.names import on_validation as on_validation
from distrecvae.metrics.names import on_validation_in as on_validation_in
from distrecvae.metrics.names import require_metrics as require_metrics
from distrecvae.metrics.names import selecting as selecting
from distrecvae.metrics.names import title_of as title_of
from distrecvae.metrics.names import trust_in as trust_in
from distrecvae.metrics.ranks import Float64Array as Float64Array
from distrecvae.metrics.ranks import ndcg as ndcg
from distrecvae.metrics.ranks import recall as recall
