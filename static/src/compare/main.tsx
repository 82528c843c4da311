// The plots of the page that compares runs; its tables are the server's.
import { ApiClient } from "../api/client";
import { mount, pageData } from "../shared/mount";
import { type CompareData, Overlay } from "./Overlay";
import { type SeriesData, SeriesOverlay } from "./SeriesOverlay";

const root = document.getElementById("compare-root");
if (root) mount(root, <Overlay data={pageData<CompareData>(root)} api={new ApiClient("")} />);

const series = document.getElementById("series-root");
if (series) mount(series, <SeriesOverlay data={pageData<SeriesData>(series)} api={new ApiClient("")} />);
