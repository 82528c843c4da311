"""Pages: landing, gallery, workspace home, graph and run pages."""
