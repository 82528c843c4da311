"""Addresses under /api/v1/."""

from django.urls import path

from apps.presets.api import NodeKindDetail, NodeKinds, PresetDetail, PresetList

urlpatterns = [
    path("presets/", PresetList.as_view(), name="api-presets"),
    path("presets/<slug:preset_id>/", PresetDetail.as_view(), name="api-preset"),
    path("nodes/", NodeKinds.as_view(), name="api-nodes"),
    path("nodes/<str:kind>/", NodeKindDetail.as_view(), name="api-node"),
]
