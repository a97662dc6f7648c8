"""Provider states: what must be so before an interaction can be tried, one registry per provider."""

from peakproof.live.states.carrier import CARRIER
from peakproof.live.states.erp import ERP
from peakproof.live.states.integration import INTEGRATION
from peakproof.live.states.registry import Registry
from peakproof.live.states.threepl import THREEPL
from peakproof.live.states.wms import WMS

PROVIDERS = (ERP, WMS, THREEPL, CARRIER, INTEGRATION)
REGISTRIES: dict[str, Registry] = {registry.provider: registry for registry in PROVIDERS}
